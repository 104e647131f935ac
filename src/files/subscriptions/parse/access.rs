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
        let allowed = "only AllowedIssuerCAList, AllowedSubjectList and DeniedSubjectList are \
                       allowed there, each once";
        self.check_inside(others, OTHERS, &[ISSUERS, ALLOWED, DENIED], true, allowed)?;
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
        let mut seen = Vec::new();
        for node in root.children().filter(Node::is_element) {
            let name = node.tag_name().name();
            let folded = name.to_ascii_lowercase();
            if !folded.starts_with("allowed") && !folded.starts_with("denied") {
                continue;
            }
            let known = [DOMAIN, OTHERS].contains(&name);
            let is_ours = node.tag_name().namespace() == Some(NAMESPACE);
            if !known || !is_ours || seen.contains(&name) {
                let allowed = "the access lists there are AllowedSourceDomainComputers and \
                               AllowedSourceNonDomainComputers, each once and in the namespace \
                               of Subscription";
                return Err(self.value(node, "an element of Subscription", name, allowed));
            }
            seen.push(name);
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
        let allowed = match item {
            "IssuerCA" => "only IssuerCA is allowed there",
            _ => "only Subject is allowed there",
        };
        self.check_inside(holder_node, holder, &[item], false, allowed)?;
        let mut items = Vec::new();
        for node in holder_node.children().filter(Node::is_element) {
            let text = text_of(node);
            if text.is_empty() {
                let allowed = "must not be empty: remove it, or write its text";
                return Err(self.value(node, item, "", allowed));
            }
            self.check_inside(node, item, &[], false, super::TEXT_ONLY)?;
            items.push(text.into_owned());
        }
        Ok(items)
    }

    /// Rejects elements other than `known` (or repeated, if `once`), and text between
    /// elements.
    fn check_inside(
        &self,
        parent: Node<'_, '_>,
        element: &'static str,
        known: &[&str],
        once: bool,
        allowed: &'static str,
    ) -> Result<(), Error> {
        let mut seen = Vec::new();
        for node in parent.children() {
            let name = node.tag_name().name();
            if node.is_element() {
                let is_ours = node.tag_name().namespace() == Some(NAMESPACE);
                if !is_ours || !known.contains(&name) || (once && seen.contains(&name)) {
                    return Err(self.value(node, element, name, allowed));
                }
                seen.push(name);
            }
            let text = piece(node).map(trim).filter(|text| !text.is_empty());
            if let Some(text) = text.filter(|_| !known.is_empty()) {
                return Err(self.value(node, element, text, allowed));
            }
        }
        Ok(())
    }
}
