//! The only entry to the XML reader: foreign text is measured before a tree is built from
//! it.
//!
//! The reader (`roxmltree`) has no limit of its own for depth, attributes, or namespaces,
//! and some of its work grows with their square. [`parse`] and [`Outline`] walk over the
//! markup once, in time linear in its size, and pass on only text that the reader can
//! process in linear time, too. `tests/layers.rs` and `scripts/clippy.toml` ensure that
//! nothing bypasses them.

mod forbidden;
mod gate;
mod outline;
pub(crate) mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use crate::base::wire::trim;

pub use forbidden::replace_forbidden;
pub(crate) use gate::walk_tag;
pub use outline::Outline;
pub use roxmltree::{Attribute, Document, Error as Syntax, Node, StringStorage};

/// How much markup a text may contain.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum number of nested elements.
    pub depth: usize,
    /// Maximum number of attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Maximum number of namespaces in scope at one place of the document.
    pub namespaces: usize,
    /// Number of elements, attributes, comments, sections, and instructions that any text may
    /// have in total.
    pub nodes: usize,
    /// A text may have one more of them for each so many of its bytes. Otherwise dense markup
    /// would take much longer than other text of its size.
    pub bytes_per_node: usize,
    /// An attribute with this name is not counted as a node: it belongs to its element.
    pub naming: &'static str,
    /// Maximum number of `<` and `=`, in text, too: the reader reserves about 100 bytes for
    /// each.
    pub reserved: usize,
}

impl Limits {
    /// For queries, bookmarks, and administrators' files: 2 MiB of queries have about
    /// 40,000 clauses.
    pub const FILE: Self = Self {
        depth: 64,
        attributes: 64,
        namespaces: 32,
        nodes: 200_000,
        bytes_per_node: usize::MAX,
        naming: "",
        reserved: 1_000_000,
    };

    /// Maximum number of nodes of a text of this length in bytes.
    pub(crate) fn most_nodes(&self, length: usize) -> usize {
        let more = length.checked_div(self.bytes_per_node);
        self.nodes.saturating_add(more.unwrap_or(0))
    }
}

/// Parses a text that stays within `limits` into a tree.
///
/// ```
/// use wecrelay::base::xml::{Limits, parse, text};
/// let document = parse("<a>1<!-- or -->2</a>", &Limits::FILE)?;
/// assert_eq!(text(document.root_element()), "12");
/// assert!(parse(&"<a>".repeat(65), &Limits::FILE).is_err());
/// # Ok::<(), wecrelay::base::xml::Error>(())
/// ```
///
/// # Errors
/// A limit was exceeded, there is a document type declaration, or the text is not
/// well-formed.
pub fn parse<'a>(text: &'a str, limits: &Limits) -> Result<Document<'a>, Error> {
    gate::Scanner::new(text, limits).scan(&mut |_| {})?;
    gate::check_reserved(text, limits)?;
    read(text)
}

/// Reads text that has passed the gate.
#[expect(
    clippy::disallowed_methods,
    reason = "the one call that the gate guards"
)]
fn read(text: &str) -> Result<Document<'_>, Error> {
    Document::parse_with_options(text, roxmltree::ParsingOptions::default())
        .map_err(Error::Malformed)
}

/// The text directly inside an element, joined across comments and instructions. Borrowed
/// if it is in one piece.
#[must_use]
pub fn text<'a>(node: Node<'a, '_>) -> Cow<'a, str> {
    let mut whole = Cow::Borrowed("");
    for piece in node.children().filter_map(piece) {
        if whole.is_empty() {
            whole = Cow::Borrowed(piece);
        } else {
            whole.to_mut().push_str(piece);
        }
    }
    whole
}

/// The same without white space, as XML defines it, at both ends.
#[must_use]
pub fn trimmed_text<'a>(node: Node<'a, '_>) -> Cow<'a, str> {
    match text(node) {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => Cow::Owned(trim(&text).to_owned()),
    }
}

/// The text of a text node; `None` for other nodes, whose [`Node::text`] would be that of a
/// child.
#[expect(clippy::disallowed_methods, reason = "a text node is all text")]
pub fn piece<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    node.text().filter(|_| node.is_text())
}

/// Why a text was rejected. Offsets are in bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not well-formed. Positions do not count what an [`Outline`] leaves out.
    Malformed(Syntax),
    /// A document type declaration. They are never allowed, because entities can expand
    /// without bound or read files.
    Dtd {
        /// Offset of the declaration.
        offset: usize,
    },
    /// Too many nested elements.
    Depth {
        /// Offset of the first element beyond the limit.
        offset: usize,
        /// The limit that was exceeded.
        most: usize,
    },
    /// Too many attributes in one element.
    Attributes {
        /// Offset of the element in bytes.
        offset: usize,
        /// The limit that was exceeded.
        most: usize,
    },
    /// Too many namespaces at one place, or different ones in all.
    Namespaces {
        /// Offset of the element in bytes.
        offset: usize,
        /// The limit that was exceeded.
        /// Offset of the element in bytes.
        most: usize,
    },
    /// More attributes and namespaces than a text of this size may have.
    Dense {
        /// Offset of the element at which the limit was exceeded.
        offset: usize,
    },
    /// Too many elements and attributes for a text of this size.
    Nodes {
        /// The limit that was exceeded.
        most: usize,
    },
}

impl Error {
    /// The line of `text`, from 1, that contains the error; 0 if the error is about the
    /// text as a whole.
    #[must_use]
    pub fn line(&self, text: &str) -> u32 {
        let offset = match self {
            Self::Malformed(reason) => return reason.pos().row,
            Self::Nodes { .. } => 0,
            Self::Dtd { offset }
            | Self::Depth { offset, .. }
            | Self::Attributes { offset, .. }
            | Self::Namespaces { offset, .. }
            | Self::Dense { offset } => *offset,
        };
        let before = text.as_bytes().get(..offset).unwrap_or_default();
        let lines = memchr::memchr_iter(b'\n', before).count();
        u32::try_from(lines).map_or(u32::MAX, |lines| lines.saturating_add(1))
    }

    /// Whether a limit was exceeded, rather than the text being malformed.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        !matches!(self, Self::Malformed(_) | Self::Dtd { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(reason) => write!(f, "not well-formed XML: {reason}"),
            Self::Dtd { offset } => write!(f, "document type declaration at byte {offset}"),
            Self::Depth { offset, most } => {
                write!(f, "more than {most} levels of elements at byte {offset}")
            }
            Self::Attributes { offset, most } => {
                write!(
                    f,
                    "more than {most} attributes in the element at byte {offset}"
                )
            }
            Self::Namespaces { offset, most } => {
                write!(f, "more than {most} namespaces at byte {offset}")
            }
            Self::Dense { offset } => write!(
                f,
                "too many attributes and namespaces for a text of this size, at byte {offset}"
            ),
            Self::Nodes { most } => write!(f, "more than {most} elements and attributes"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(reason) => Some(reason),
            _ => None,
        }
    }
}
