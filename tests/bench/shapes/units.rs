//! Shapes of events: a unit, repeated in a place until the event has a given length.

use wecrelay::event::{self, Error};

const START: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>\
    <System><Provider Name='P'/><EventID>1</EventID><Level>4</Level>\
    <TimeCreated SystemTime='2026-01-02T03:04:05.6789Z'/><EventRecordID>7</EventRecordID>\
    <Channel>Security</Channel><Computer>ws1.example.com</Computer></System>";
const END: &str = "</Event>";

/// Where units are inserted.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    name: &'static str,
    before: &'static str,
    after: &'static str,
    kind: Kind,
}

/// What a place can contain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Anything.
    Any,
    /// Only text, no markup.
    Text,
    /// Elements with content.
    Elements,
}

/// `{` and `}` stand for the rest of a typical event around the place, `~` for a long text.
const PLACES: [Place; 22] = [
    place(
        "a value",
        "{<EventData><Data Name='a'>",
        "</Data></EventData>}",
        Kind::Any,
    ),
    place(
        "a value beside a text",
        "{<EventData><Data Name='a'>",
        "</Data></EventData><RenderingInfo><Message>m</Message></RenderingInfo>}",
        Kind::Text,
    ),
    place(
        "a rendered text",
        "{<RenderingInfo Culture='en-US'><Message>",
        "</Message></RenderingInfo>}",
        Kind::Text,
    ),
    place(
        "a section",
        "{<EventData><Data Name='a'><![CDATA[",
        "]]></Data></EventData>}",
        Kind::Text,
    ),
    place(
        "a comment",
        "{<EventData><!--",
        "--></EventData>}",
        Kind::Text,
    ),
    place(
        "the name of a value",
        "{<EventData><Data Name='",
        "'>v</Data></EventData>}",
        Kind::Text,
    ),
    place(
        "an attribute",
        "{<EventData><Data Name='n' b='",
        "'>v</Data></EventData>}",
        Kind::Text,
    ),
    place(
        "a computer",
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><EventID>1</EventID><Computer>",
        "</Computer></System></Event>",
        Kind::Text,
    ),
    place(
        "a provider",
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='",
        "'/><EventID>1</EventID></System></Event>",
        Kind::Text,
    ),
    place(
        "a record id",
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><EventRecordID>",
        "</EventRecordID></System></Event>",
        Kind::Text,
    ),
    place(
        "keywords",
        "{<RenderingInfo><Message>m</Message><Keywords>",
        "</Keywords></RenderingInfo>}",
        Kind::Elements,
    ),
    place(
        "what System has",
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>",
        "</System></Event>",
        Kind::Elements,
    ),
    place("event data", "{<EventData>", "</EventData>}", Kind::Any),
    place(
        "user data",
        "{<UserData><u xmlns='v'>",
        "</u></UserData>}",
        Kind::Any,
    ),
    place(
        "values beside a long text",
        "{<EventData>",
        "</EventData><RenderingInfo><Message>~</Message></RenderingInfo>}",
        Kind::Elements,
    ),
    place("nothing known", "{", "}", Kind::Any),
    place("cut event data", "{<EventData>", "", Kind::Any),
    place("a cut tag", "{<EventData ", "", Kind::Text),
    place(
        "a cut rendered text",
        "{<RenderingInfo><Message>",
        "",
        Kind::Text,
    ),
    place("what follows", "{}", "", Kind::Any),
    place("what comes before", "", "{}", Kind::Any),
    place("no event", "", "", Kind::Any),
];

const fn place(name: &'static str, before: &'static str, after: &'static str, kind: Kind) -> Place {
    Place {
        name,
        before,
        after,
        kind,
    }
}

impl Place {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        PLACES.into_iter()
    }

    pub(crate) fn name(self) -> &'static str {
        self.name
    }

    /// The event with as many units as `length` allows; none if this unit is not allowed here.
    /// If that exceeds a limit on markup, so that the event is rejected, also the event with the
    /// maximum accepted number of units, which is the most expensive.
    pub(crate) fn fill(self, unit: &Unit, length: usize) -> Vec<String> {
        let fits = match self.kind {
            Kind::Any => true,
            Kind::Text => !unit.is_markup,
            Kind::Elements => unit.is_markup,
        };
        if !fits {
            return Vec::new();
        }
        let whole = self.with(unit, length);
        let event = |count: usize| whole.event(count);
        let count = whole.ends.len();
        if !is_over_a_limit(&event(count)) {
            return vec![event(count)];
        }
        let (mut least, mut most) = (0, count);
        while most - least > 1 {
            let middle = least.midpoint(most);
            if is_over_a_limit(&event(middle)) {
                most = middle;
            } else {
                least = middle;
            }
        }
        vec![event(count), event(least)]
    }

    /// As many units as `length` allows, and what surrounds them.
    fn with(self, unit: &Unit, length: usize) -> Filled {
        let long = "v".repeat(length / 2);
        let whole = |text: &str| {
            text.replace('{', START)
                .replace('}', END)
                .replace('~', &long)
        };
        let (mut xml, after) = (whole(self.before), whole(self.after));
        let start = xml.len();
        let mut ends = Vec::new();
        while ends.len() < unit.most.unwrap_or(usize::MAX) {
            unit.push(ends.len(), &mut xml);
            if xml.len() + after.len() > length {
                break;
            }
            ends.push(xml.len());
        }
        xml.truncate(ends.last().copied().unwrap_or(start));
        Filled {
            xml,
            start,
            ends,
            after,
        }
    }
}

/// An event without its end, of which the units from any number on can be left out.
struct Filled {
    xml: String,
    /// Where the first unit begins, and where each ends.
    start: usize,
    ends: Vec<usize>,
    after: String,
}

impl Filled {
    /// The event with this many units.
    fn event(&self, count: usize) -> String {
        let last = count.checked_sub(1).and_then(|last| self.ends.get(last));
        let end = last.copied().unwrap_or(self.start);
        [&self.xml[..end], &self.after].concat()
    }
}

/// Whether the event has more markup than is accepted.
fn is_over_a_limit(xml: &str) -> bool {
    event::parse(xml).is_err_and(|malformed| match malformed.reason {
        Error::Xml(error) => error.is_limit(),
        Error::LongNames { .. } => true,
        Error::TooLong { .. } | Error::NotAnEvent => false,
    })
}

/// The repeated text; `@` in it is replaced by the number of the repetition.
#[derive(Clone)]
pub(crate) struct Unit {
    name: String,
    text: String,
    is_markup: bool,
    /// Maximum number of repetitions.
    most: Option<usize>,
}

/// Characters, references, and pieces of markup that a parser could misinterpret.
const TEXTS: [&str; 47] = [
    "\u{80}",
    "\u{85}",
    "\u{9f}",
    "\u{a0}",
    "\u{a9}",
    "é",
    "€",
    "\u{2028}",
    "\u{feff}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{1f600}",
    "&amp;",
    "&lt;",
    "&gt;",
    "&quot;",
    "&apos;",
    "&#9;",
    "&#10;",
    "&#xA;",
    "&#13;",
    "&#65;",
    "&#x20AC;",
    "&#x1F600;",
    "&#1;",
    "&#x1;",
    "&#0;",
    "&#xD800;",
    "&#xFFFE;",
    "&#x110000;",
    "&#99999999999;",
    "&#00000000000000065;",
    "&",
    "&#",
    "&#x",
    "&a;",
    "&#xD83D;&#xDE00;",
    "\r\n",
    "\r\n\t",
    "\n\r",
    "]]",
    "]>",
    "=\"'",
    "a=\"b\" ",
    "Data1",
    "x\u{1}\u{85}\n\\",
];

/// Markup, most of it also with different numbers.
const MARKUP: [&str; 53] = [
    "<a/>",
    "<a></a>",
    "<a>v</a>",
    "<a>\n</a>",
    "<a@/>",
    "<a@>v</a@>",
    "<a b='c'/>",
    "<a b='c'>v</a>",
    "<a@b='c'/>",
    "<Data/>",
    "<Data>v</Data>",
    "<Data>&amp;</Data>",
    "<Data Name='&amp;'>v</Data>",
    "<Data Name='a&#10;@'>v</Data>",
    "<Data Name='n'/>",
    "<Data Name='n'>v</Data>",
    "<Data Name='n@'>v</Data>",
    "<Data Name=' '>v</Data>",
    "<Data Name='Data1'>v</Data>",
    "<Data Name='IpAddress'>1</Data>",
    "<Data Name='abcdefghijklmnopqrstuvwxyzab@'/>",
    "<Data Name='abcdefghijklmnopqrstuvwxyzab@'/><Data Name='abcdefghijklmnopqrstuvwxyzab@'/>",
    "<Data Name='abcdefghijklmnopqrstuvwxyzabcdefghijk@'/>",
    "<Data Name='a_@'/><Data Name='a'/>",
    "<Data Name='a_2'/>",
    "<Data Name='a' b='c' d='e' f='g'/>",
    "<Data Name='é@'>\u{85}</Data>",
    "<Data Name='\"'>v</Data>",
    "<ComplexData Name='a'><Data>b</Data></ComplexData>",
    "<Keyword>k</Keyword>",
    "<Keyword/>",
    "<Level/>",
    "<Provider Name='P'/>",
    "<EventID Qualifiers='1'>2</EventID>",
    "<x y='z'>w</x>",
    "<a xmlns='u'/>",
    "<a xmlns:p='u'/>",
    "<p:a xmlns:p='u' p:b='c' d='e'/>",
    "<a xmlns='u@'/>",
    "<!---->",
    "<!-- - -->",
    "<!---->v",
    "<?p?>",
    "<?p?>v",
    "<![CDATA[]]>",
    "<![CDATA[a]]>",
    "<![CDATA[\n]]>",
    "<![CDATA[a]]>b",
    "<Data Name='a@'><![CDATA[b]]></Data>",
    "<a><b/></a>",
    "<a/>\n",
    "<a/>&#10;",
    "<RenderingInfo/>",
];

/// Malformed markup.
const BROKEN: [&str; 16] = [
    "<",
    ">",
    "<a>",
    "</a>",
    "<a ",
    "<a b='",
    "<a b=\"c'",
    "<!--",
    "<!",
    "<?",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a>",
    "<Event>",
    "<System>",
    "<RenderingInfo>",
];

impl Unit {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let is_special = |c: &char| !c.is_ascii_alphanumeric() || "aZ09".contains(*c);
        let ascii = (0..0x80_u8).map(char::from).filter(|c| *c != '<');
        // All letters and digits are alike.
        let ascii = ascii.filter(is_special);
        let ascii = ascii.map(|c| Self::text(c.to_string()));
        let mixed = [
            "\u{1}", "\t", "\n", "\r", "\"", "\\", "]", "&amp;", "&#10;", "&#1;", "\u{85}",
            "\u{fffe}",
        ];
        let mixed = mixed.map(|text| Self::text(format!("a{text}")));
        // Plain text before each, a few lanes long.
        let spread = [
            "\u{1}", "\n", "\"", "\\", "&amp;", "&#10;", "&#1;", "\u{85}",
        ];
        let spread =
            spread.map(|text| Self::text("plain text of a few words, as it is ".to_owned() + text));
        let markup = MARKUP.into_iter().map(|text| Self::markup(text.to_owned()));
        let broken = BROKEN.into_iter().map(|text| Self::markup(text.to_owned()));
        let texts = TEXTS.into_iter().map(|text| Self::text(text.to_owned()));
        let all = ascii.chain(texts).chain(mixed).chain(spread);
        all.chain(markup).chain(broken).chain(Self::large())
    }

    /// Larger pieces: names that are repeated by many attributes, values in a rendered text.
    fn large() -> Vec<Self> {
        let long = "n".repeat(256);
        let attributes: String = ('a'..='z').map(|c| format!(" {c}='1'")).collect();
        let found = "v".repeat(1000);
        let nested = "<a>".repeat(40) + &"</a>".repeat(40);
        vec![
            Self::markup(format!("<{long}{attributes}/>")),
            Self::markup(format!("<Data Name='{long}'{attributes}/>")),
            Self::markup(format!("<Data Name='n@'>{found}</Data>")),
            Self::markup(format!("<Data Name='n@'>{found}@</Data>")),
            Self::markup(format!("<Data Name='{long}@'>v</Data>")),
            Self::markup(nested),
            Self {
                most: Some(48),
                ..Self::markup(format!("<Data Name='{}@'>v</Data>", "m".repeat(20_000)))
            },
        ]
    }

    fn text(text: String) -> Self {
        Self {
            name: short(&text),
            text,
            is_markup: false,
            most: None,
        }
    }

    fn markup(text: String) -> Self {
        Self {
            is_markup: true,
            ..Self::text(text)
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn push(&self, number: usize, xml: &mut String) {
        if self.is_markup {
            // Four characters, so that names differ only at their ends.
            let number = format!("{number:04x}");
            let mut parts = self.text.split('@');
            xml.push_str(parts.next().unwrap_or_default());
            parts.for_each(|part| xml.extend([&number, part]));
        } else {
            xml.push_str(&self.text);
        }
    }
}

fn short(text: &str) -> String {
    let mut name: String = text.escape_debug().take(48).collect();
    if text.len() > 48 {
        name += &format!("... ({} bytes)", text.len());
    }
    name
}
