//! SOAP faults (SOAP 1.2 5.4, DSP0226 14, MS-WSMV 2.2.4.43).
//!
//! A bare HTTP status would satisfy sources; a fault also conveys the reason to their event
//! log.

use uuid::Uuid;

use super::soap::{ns, relates_to, to, urn};
use super::text::Escaped;
use super::{Header, action};

/// The category of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subcode {
    /// The source may not do this.
    AccessDenied,
    /// Well-formed, but not valid according to the schema.
    SchemaValidationError,
    /// A limit of size or length is exceeded.
    EncodingLimit,
    /// A failure of the collector.
    InternalError,
    /// Valid, but not supported here.
    UnsupportedFeature,
    /// The enumeration context is invalid or has expired.
    InvalidEnumerationContext,
    /// The action is unknown.
    ActionNotSupported,
    /// An addressing header is missing or invalid.
    InvalidMessageInformationHeader,
    /// The address is unknown here.
    DestinationUnreachable,
}

impl Subcode {
    /// The HTTP status code: 400, or 500 if the collector is at fault or, for enumeration
    /// contexts, if WS-Enumeration classifies it so.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::InternalError | Self::InvalidEnumerationContext => 500,
            _ => 400,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::InternalError | Self::InvalidEnumerationContext => "s:Receiver",
            _ => "s:Sender",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "w:AccessDenied",
            Self::SchemaValidationError => "w:SchemaValidationError",
            Self::EncodingLimit => "w:EncodingLimit",
            Self::InternalError => "w:InternalError",
            Self::UnsupportedFeature => "w:UnsupportedFeature",
            Self::InvalidEnumerationContext => "n:InvalidEnumerationContext",
            Self::ActionNotSupported => "a:ActionNotSupported",
            Self::InvalidMessageInformationHeader => "a:InvalidMessageInformationHeader",
            Self::DestinationUnreachable => "a:DestinationUnreachable",
        }
    }

    fn action(self) -> &'static str {
        match self.name().split(':').next() {
            Some("a") => action::ADDRESSING_FAULT,
            Some("n") => action::ENUMERATION_FAULT,
            _ => action::FAULT,
        }
    }

    /// The Windows error code that the source's event log shows (`wsmerror.h`,
    /// `winerror.h`).
    fn windows_code(self) -> u32 {
        match self {
            Self::AccessDenied => 5,
            Self::SchemaValidationError => 0x8033_8041,
            Self::EncodingLimit => 0x8033_8035,
            Self::InternalError => 1359,
            Self::UnsupportedFeature => 0x8033_8042,
            Self::InvalidEnumerationContext => 0x8033_801b,
            Self::ActionNotSupported => 0x8033_8013,
            Self::InvalidMessageInformationHeader => 0x8033_800f,
            Self::DestinationUnreachable => 0x8033_8012,
        }
    }
}

/// A fault to report to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// Its category.
    pub subcode: Subcode,
    /// A sentence for the source's event log.
    pub reason: &'a str,
    /// The collector's host name.
    pub machine: &'a str,
}

/// Formats a fault. `request` is the message that caused it, if its header could be parsed.
#[must_use]
pub fn fault(request: Option<&Header>, message_id: Uuid, fault: &Fault<'_>) -> String {
    let (s, a, w, f) = (ns::SOAP, ns::ADDRESSING, ns::WSMAN, ns::WSMAN_FAULT);
    let n = ns::ENUMERATION;
    let (subcode, id) = (fault.subcode, urn(message_id));
    let to = to(request.unwrap_or(&Header::default()));
    let relates_to = request.map(relates_to).unwrap_or_default();
    let (reason, machine) = (Escaped(fault.reason), Escaped(fault.machine));
    let (action, code, name) = (subcode.action(), subcode.code(), subcode.name());
    let windows = subcode.windows_code();
    format!(
        "<s:Envelope xml:lang=\"en-US\" xmlns:s=\"{s}\" xmlns:a=\"{a}\" xmlns:n=\"{n}\" \
         xmlns:w=\"{w}\"><s:Header><a:Action>{action}</a:Action><a:MessageID>{id}</a:MessageID>{to}{relates_to}\
         </s:Header><s:Body><s:Fault><s:Code><s:Value>{code}</s:Value><s:Subcode>\
         <s:Value>{name}</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang=\"en-US\">\
         {reason}</s:Text></s:Reason><s:Detail><f:WSManFault xmlns:f=\"{f}\" Code=\"{windows}\" \
         Machine=\"{machine}\"><f:Message>{reason}</f:Message></f:WSManFault></s:Detail></s:Fault>\
         </s:Body></s:Envelope>"
    )
}
