//! The general parser: any well-formed XML with the root `Event`.
//!
//! Elements are matched by their local name if they are in the namespace of the root,
//! whatever that is. Anything without a field of its own is kept in `extra` or `data`, so
//! that nothing is lost.

use std::borrow::Cow;

use super::{Error, Event, LIMITS, Pair, Rendering, trimmed, unnamed};
use crate::base::wire::trim;
use crate::base::xml::{self, Attribute, Node, StringStorage};

/// Bytes of names that any text may make of its elements and attributes.
const FREE_NAMES: usize = 64 * 1024;

/// Bytes of such names that each byte of a text may make on top. Genuine ones make less
/// than one.
const NAMES_PER_BYTE: usize = 2;

/// Parses an event without repairing it.
pub(super) fn read(xml: &str) -> Result<Event<'_>, Error> {
    let document = xml::parse(xml, &LIMITS).map_err(Error::Xml)?;
    let root = document.root_element();
    if root.tag_name().name() != "Event" {
        return Err(Error::NotAnEvent);
    }
    let mut event = Event::default();
    let mut names = JoinedNames::within(xml.len());
    for child in elements(root) {
        match name_within(child, root) {
            "System" => read_system(child, &mut event),
            "EventData" => read_event_data(child, &mut names, &mut event)?,
            "RenderingInfo" if event.rendering.is_none() => {
                event.rendering = Some(read_rendering(child));
            }
            "UserData" => {
                let kind = elements(child).next().map(|kind| kind.tag_name().name());
                set(
                    &mut event.user_data_name,
                    Cow::Borrowed(kind.unwrap_or_default()),
                );
                read_other_data(child, &mut names, &mut event)?;
            }
            _ => read_other_data(child, &mut names, &mut event)?,
        }
    }
    Ok(event)
}

/// The local name; empty if the element has another namespace.
fn name_within<'input>(node: Node<'_, 'input>, root: Node<'_, 'input>) -> &'input str {
    let name = node.tag_name();
    if name.namespace() == root.tag_name().namespace() {
        name.name()
    } else {
        ""
    }
}

fn elements<'a, 'input: 'a>(node: Node<'a, 'input>) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(Node::is_element)
}

fn read_system<'a>(system: Node<'_, 'a>, event: &mut Event<'a>) {
    for node in elements(system) {
        let element = name_within(node, system);
        for attribute in node.attributes() {
            let value = trimmed(attribute_value(&attribute));
            match attribute_field(event, element, attribute.name()) {
                Some(field) => set(field, value),
                None => event.extra.push((local_name(&attribute), value)),
            }
        }
        let value = trimmed(text(node));
        match text_field(event, element) {
            Some(field) => set(field, value),
            None if value.is_empty() => {}
            None => event
                .extra
                .push((Cow::Borrowed(node.tag_name().name()), value)),
        }
    }
}

/// The field for an attribute of a child of `System`.
fn attribute_field<'e, 'a>(
    event: &'e mut Event<'a>,
    element: &str,
    attribute: &str,
) -> Option<&'e mut Cow<'a, str>> {
    Some(match (element, attribute) {
        ("Provider", "Name") => &mut event.provider,
        ("Provider", "Guid") => &mut event.provider_guid,
        ("Provider", "EventSourceName") => &mut event.event_source_name,
        ("EventID", "Qualifiers") => &mut event.qualifiers,
        ("TimeCreated", "SystemTime") => &mut event.time_created,
        ("Correlation", "ActivityID") => &mut event.activity_id,
        ("Correlation", "RelatedActivityID") => &mut event.related_activity_id,
        ("Execution", "ProcessID") => &mut event.process_id,
        ("Execution", "ThreadID") => &mut event.thread_id,
        ("Security", "UserID") => &mut event.user_id,
        _ => return None,
    })
}

/// The field for the text of a child of `System`.
fn text_field<'e, 'a>(event: &'e mut Event<'a>, element: &str) -> Option<&'e mut Cow<'a, str>> {
    Some(match element {
        "EventID" => &mut event.event_id,
        "Version" => &mut event.version,
        "Level" => &mut event.level,
        "Task" => &mut event.task,
        "Opcode" => &mut event.opcode,
        "Keywords" => &mut event.keywords,
        "EventRecordID" => &mut event.record_id,
        "Channel" => &mut event.channel,
        "Computer" => &mut event.computer,
        _ => return None,
    })
}

/// Sets a field, unless it already has a value.
fn set<'a>(field: &mut Cow<'a, str>, value: Cow<'a, str>) {
    if field.is_empty() {
        *field = value;
    }
}

fn read_rendering<'a>(rendering: Node<'_, 'a>) -> Rendering<'a> {
    let mut result = Rendering::default();
    let culture = rendering.attribute_node("Culture");
    result.culture = culture
        .map(|culture| trimmed(attribute_value(&culture)))
        .unwrap_or_default();
    for node in elements(rendering) {
        let element = name_within(node, rendering);
        if element == "Message" {
            set(&mut result.message, text(node));
        } else if element == "Keywords" {
            let texts = elements(node).map(|keyword| trimmed(text(keyword)));
            result
                .keywords
                .extend(texts.filter(|text| !text.is_empty()));
        } else if let Some(field) = rendering_field(&mut result, element) {
            set(field, trimmed(text(node)));
        }
    }
    result
}

/// The field for a child of `RenderingInfo` with a short text.
fn rendering_field<'r, 'a>(
    rendering: &'r mut Rendering<'a>,
    element: &str,
) -> Option<&'r mut Cow<'a, str>> {
    Some(match element {
        "Level" => &mut rendering.level,
        "Task" => &mut rendering.task,
        "Opcode" => &mut rendering.opcode,
        "Channel" => &mut rendering.channel,
        "Provider" => &mut rendering.provider,
        _ => return None,
    })
}

fn read_event_data<'a>(
    container: Node<'_, 'a>,
    names: &mut JoinedNames,
    event: &mut Event<'a>,
) -> Result<(), Error> {
    for attribute in container.attributes() {
        if attribute.name() == "Name" {
            set(&mut event.data_name, attribute_value(&attribute));
        } else {
            event.data.push((
                names.join("EventData", attribute.name())?,
                attribute_value(&attribute),
            ));
        }
    }
    push_loose_text(container, &mut event.data);
    let mut position = 0;
    for node in elements(container) {
        read_data(node, &mut position, names, &mut event.data)?;
    }
    Ok(())
}

/// `Data`, `ComplexData`, and the like, which have their name in an attribute.
fn read_data<'a>(
    node: Node<'_, 'a>,
    position: &mut usize,
    names: &mut JoinedNames,
    data: &mut Vec<Pair<'a>>,
) -> Result<(), Error> {
    let element = node.tag_name().name();
    let named = node
        .attribute_node("Name")
        .map(|name| attribute_value(&name));
    let name = match named.filter(|name| !name.is_empty()) {
        Some(name) => name,
        None if element == "Data" => unnamed(*position),
        None => Cow::Borrowed(element),
    };
    *position += usize::from(element == "Data");
    for attribute in node
        .attributes()
        .filter(|attribute| attribute.name() != "Name")
    {
        data.push((
            names.join(&name, attribute.name())?,
            attribute_value(&attribute),
        ));
    }
    data.push((name, text(node)));
    for child in elements(node) {
        read_data(child, position, names, data)?;
    }
    Ok(())
}

/// `UserData`, `DebugData`, `BinaryEventData`, and the like, whose element name is the
/// name.
fn read_other_data<'a>(
    node: Node<'_, 'a>,
    names: &mut JoinedNames,
    event: &mut Event<'a>,
) -> Result<(), Error> {
    for attribute in node.attributes() {
        let name = names.join(node.tag_name().name(), attribute.name())?;
        event.data.push((name, attribute_value(&attribute)));
    }
    push_loose_text(node, &mut event.data);
    for child in elements(node) {
        if child.attributes().len() == 0 && !child.children().any(|inner| inner.is_element()) {
            event
                .data
                .push((Cow::Borrowed(child.tag_name().name()), text(child)));
        } else {
            read_other_data(child, names, event)?;
        }
    }
    Ok(())
}

/// Adds text next to elements, unless it is white space.
fn push_loose_text<'a>(node: Node<'_, 'a>, data: &mut Vec<Pair<'a>>) {
    let text = text(node);
    if !trim(&text).is_empty() {
        data.push((Cow::Borrowed(node.tag_name().name()), text));
    }
}

/// Names that are made of an element's and an attribute's. Each attribute repeats the name
/// of its element, so without a limit a small text could become a large event.
struct JoinedNames {
    most: usize,
    length: usize,
}

impl JoinedNames {
    /// For a text of this length.
    fn within(length: usize) -> Self {
        let most = FREE_NAMES.saturating_add(length.saturating_mul(NAMES_PER_BYTE));
        Self { most, length: 0 }
    }

    /// No dot: syslog-ng would take the rest for a name within an element of that name.
    fn join<'a>(&mut self, element: &str, attribute: &str) -> Result<Cow<'a, str>, Error> {
        let name = [element, "_", attribute].concat();
        self.length = self.length.saturating_add(name.len());
        if self.length > self.most {
            let most = self.most;
            return Err(Error::LongNames { most });
        }
        Ok(Cow::Owned(name))
    }
}

fn local_name<'a>(attribute: &Attribute<'_, 'a>) -> Cow<'a, str> {
    Cow::Owned(attribute.name().to_owned())
}

fn attribute_value<'a>(attribute: &Attribute<'_, 'a>) -> Cow<'a, str> {
    storage(attribute.value_storage())
}

/// The text directly in this element; one piece is borrowed.
fn text<'a>(node: Node<'_, 'a>) -> Cow<'a, str> {
    let mut result = Cow::Borrowed("");
    for child in node.children().filter(Node::is_text) {
        let piece = child.text_storage().map(storage).unwrap_or_default();
        if result.is_empty() {
            result = piece;
        } else {
            result.to_mut().push_str(&piece);
        }
    }
    result
}

fn storage<'a>(storage: &StringStorage<'a>) -> Cow<'a, str> {
    match storage {
        StringStorage::Borrowed(text) => Cow::Borrowed(text),
        StringStorage::Owned(text) => Cow::Owned(text.as_ref().to_owned()),
    }
}
