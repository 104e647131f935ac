//! Files that are mistaken for subscription files: what they are, and how to convert them.

use std::fmt;

/// The actual kind of a file that is not a subscription file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// The output of `wecutil gs NAME` without `/f:xml`.
    WecutilText,
    /// A `QueryList` alone.
    QueryList,
    /// A custom view exported by Event Viewer, which contains a `QueryList`.
    CustomView,
    /// Several subscriptions in one document.
    Several,
    /// It does not begin with markup.
    NoXml,
}

/// A shell command that makes a subscription file from the `QueryList` in a file.
const WRAP: &str = "{ echo '<Subscription \
    xmlns=\"http://schemas.microsoft.com/2006/03/windows/events/subscription\">\
    <SubscriptionId>NAME</SubscriptionId><SubscriptionType>SourceInitiated</SubscriptionType>\
    <Query><![CDATA['; sed -z 's/.*\\(<QueryList.*<\\/QueryList>\\).*/\\1/' FILE; \
    echo ']]></Query></Subscription>'; } >NAME.xml";

impl Foreign {
    /// Recognizes a text that does not begin like XML.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let text = text.trim_start();
        if text.starts_with('<') {
            return None;
        }
        let is_listing = |line: &str| {
            line.split_once(':').is_some_and(|(name, _)| {
                let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
                name.eq_ignore_ascii_case("SubscriptionId")
                    || name.eq_ignore_ascii_case("SubscriptionType")
            })
        };
        if text.lines().take(20).any(is_listing) {
            Some(Self::WecutilText)
        } else {
            Some(Self::NoXml)
        }
    }

    /// Recognizes the root element of a document.
    pub(super) fn of_root(name: &str) -> Option<Self> {
        match name {
            "QueryList" => Some(Self::QueryList),
            "ViewerConfig" => Some(Self::CustomView),
            "Subscriptions" => Some(Self::Several),
            _ => None,
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WecutilText => f.write_str(
                "this is what wecutil prints without /f:xml; \
                 run on the Windows collector: wecutil gs NAME /f:xml >NAME.xml",
            ),
            Self::QueryList => write!(
                f,
                "this is a query without its subscription; convert it to a subscription file: \
                 {WRAP}"
            ),
            Self::CustomView => write!(
                f,
                "this is a custom view that Event Viewer exported; convert its query to a \
                 subscription file: {WRAP}"
            ),
            Self::Several => f.write_str(
                "several subscriptions in one file: put each Subscription element \
                 into a file of its own, and name their folder",
            ),
            Self::NoXml => f.write_str(
                "this is not XML; a subscription file is what \
                 wecutil gs NAME /f:xml prints on a Windows collector",
            ),
        }
    }
}
