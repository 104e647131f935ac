//! The access lists of a subscription. A list that is skipped would admit hosts that it
//! should exclude, so anything invalid in its place is rejected.

use super::{Error, File, NAMESPACE, Parsed, child, line_of, text_of};
use crate::base::xml::{Node, piece};
use crate::protocol::wsman::text::trim;
use crate::windows::sddl::SecurityDescriptor;

const DOMAIN: &str = "AllowedSourceDomainComputers";
const OTHERS: &str = "AllowedSourceNonDomainComputers";
const ISSUERS: &str = "AllowedIssuerCAList";
const ALLOWED: &str = "AllowedSubjectList";
const DENIED: &str = "DeniedSubjectList";

/// Number of hexadecimal digits of a thumbprint (SHA-1).
const DIGITS: usize = 40;

impl File<'_> {
    pub(super) fn take_access(&self, root: Node<'_, '_>, parsed: &mut Parsed) -> Result<(), Error> {
        self.check_names(root)?;
        if let Some(domain) = child(root, DOMAIN) {
            self.take_descriptor(domain, parsed)?;
        }
        let Some(others) = child(root, OTHERS) else {
            return Ok(());
        };
        let inside = Inside {
            element: OTHERS,
            known: &[ISSUERS, ALLOWED, DENIED],
            once: true,
            allowed: "only AllowedIssuerCAList, AllowedSubjectList and DeniedSubjectList are \
                      allowed there, each once",
        };
        self.check_inside(others, &inside)?;
        let access = &mut parsed.subscription.access;
        access.allowed_issuers = self.list(others, ISSUERS, "IssuerCA")?;
        access.allowed_subjects = self.list(others, ALLOWED, "Subject")?;
        access.denied_subjects = self.list(others, DENIED, "Subject")?;
        for issuer in &access.allowed_issuers {
            let digits = issuer.chars().filter(char::is_ascii_hexdigit).count();
            if digits != DIGITS {
                let (file, line) = (self.name, line_of(others));
                parsed.notices.push(format!(
                    "{file}:{line}: IssuerCA {issuer:?} matches no certificate: it must be the \
                     thumbprint of an authority (SHA-1, {DIGITS} hexadecimal digits)"
                ));
            }
        }
        Ok(())
    }

    /// Rejects elements that are meant as access lists but are misspelled, repeated, or in
    /// another namespace.
    fn check_names(&self, root: Node<'_, '_>) -> Result<(), Error> {
        let inside = Inside {
            element: "an element of Subscription",
            known: &[DOMAIN, OTHERS],
            once: true,
            allowed: "the access lists there are AllowedSourceDomainComputers and \
                      AllowedSourceNonDomainComputers, each once and in the namespace of \
                      Subscription",
        };
        let mut seen = Vec::new();
        for node in root.children().filter(Node::is_element) {
            let folded = node.tag_name().name().to_ascii_lowercase();
            if folded.starts_with("allowed") || folded.starts_with("denied") {
                self.check_element(node, &inside, &mut seen)?;
            }
        }
        Ok(())
    }

    fn take_descriptor(&self, domain: Node<'_, '_>, parsed: &mut Parsed) -> Result<(), Error> {
        let text = text_of(domain);
        if text.is_empty() {
            return Ok(());
        }
        let descriptor: Result<SecurityDescriptor, _> = text.parse();
        let descriptor = descriptor.map_err(|reason| Error::Access {
            file: self.name.to_owned(),
            line: line_of(domain),
            reason,
        })?;
        if descriptor.is_for_nobody() || descriptor.dacl.is_none() {
            let (file, line, words) = (self.name, line_of(domain), descriptor.explain());
            parsed
                .notices
                .push(format!("{file}:{line}: {DOMAIN}: {words}"));
        }
        parsed.subscription.access.domain_computers = Some(descriptor);
        Ok(())
    }

    /// The items of one list. An empty one is rejected, because it would restrict nobody.
    fn list(
        &self,
        others: Node<'_, '_>,
        holder: &'static str,
        item: &'static str,
    ) -> Result<Vec<String>, Error> {
        let Some(holder_node) = child(others, holder) else {
            return Ok(Vec::new());
        };
        let items_only = Inside {
            element: holder,
            known: &[item],
            once: false,
            allowed: match item {
                "IssuerCA" => "only IssuerCA is allowed there",
                _ => "only Subject is allowed there",
            },
        };
        self.check_inside(holder_node, &items_only)?;
        let text_only = Inside {
            element: item,
            known: &[],
            once: false,
            allowed: super::TEXT_ONLY,
        };
        let mut items = Vec::new();
        for node in holder_node.children().filter(Node::is_element) {
            let text = text_of(node);
            if text.is_empty() {
                let allowed = "must not be empty: remove it, or write its text";
                return Err(self.value(node, item, "", allowed));
            }
            self.check_inside(node, &text_only)?;
            items.push(text.into_owned());
        }
        Ok(items)
    }

    /// Rejects elements that are not allowed inside `parent`, and text between elements.
    fn check_inside(&self, parent: Node<'_, '_>, inside: &Inside<'_>) -> Result<(), Error> {
        let mut seen = Vec::new();
        for node in parent.children() {
            if node.is_element() {
                self.check_element(node, inside, &mut seen)?;
            }
            let text = piece(node).map(trim).filter(|text| !text.is_empty());
            if let Some(text) = text.filter(|_| !inside.known.is_empty()) {
                return Err(self.value(node, inside.element, text, inside.allowed));
            }
        }
        Ok(())
    }

    /// Rejects an element that is unknown, in another namespace, or repeated if that is not
    /// allowed. `seen` holds the names before it.
    fn check_element<'a>(
        &self,
        node: Node<'a, '_>,
        inside: &Inside<'_>,
        seen: &mut Vec<&'a str>,
    ) -> Result<(), Error> {
        let name = node.tag_name().name();
        let is_ours = node.tag_name().namespace() == Some(NAMESPACE);
        let is_repeated = inside.once && seen.contains(&name);
        if !is_ours || !inside.known.contains(&name) || is_repeated {
            return Err(self.value(node, inside.element, name, inside.allowed));
        }
        seen.push(name);
        Ok(())
    }
}

/// What an element can contain.
struct Inside<'k> {
    /// The name of the element, for the error.
    element: &'static str,
    /// Names of the elements that are allowed; if there are none, text is.
    known: &'k [&'k str],
    /// Whether each of them can occur only once.
    once: bool,
    /// What is allowed, in words for the error.
    allowed: &'static str,
}
