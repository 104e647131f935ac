//! Microsoft's own formats: identifiers, access lists, event queries, codes.

pub mod query;
pub mod remedies;
pub mod sddl;
pub mod sid;
