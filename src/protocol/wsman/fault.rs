//! SOAP faults (SOAP 1.2 5.4, DSP0226 14, MS-WSMV 2.2.4.43).
//!
//! Sources are content with a bare HTTP status; a fault also says why.

use uuid::Uuid;

use super::soap::{ns, relates_to, to, urn};
use super::text::Escaped;
use super::{Header, action};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subcode {
    /// The source may not do this.
    AccessDenied,
    /// Well-formed, but not what the schema says.
    SchemaValidationError,
    /// Larger or longer than a limit.
    EncodingLimit,
    /// Our own failure.
    InternalError,
    /// Valid, but not supported here.
    UnsupportedFeature,
    /// The place where an enumeration was to go on is none, or no longer.
    InvalidEnumerationContext,
    /// No such action.
    ActionNotSupported,
    /// An addressing header is missing or wrong.
    InvalidMessageInformationHeader,
    /// No such address here.
    DestinationUnreachable,
}

impl Subcode {
    /// HTTP status that goes with it: 400, or 500 where the fault is ours or, by
    /// WS-Enumeration, called so.
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

    /// The Windows error that its event log shows for it (`wsmerror.h`, `winerror.h`).
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

/// A refusal and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// What is wrong.
    pub subcode: Subcode,
    /// A sentence for the source's log.
    pub reason: &'a str,
    /// Our host name.
    pub machine: &'a str,
}

/// Writes a fault. `request` is its cause, if so much could be read.
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
