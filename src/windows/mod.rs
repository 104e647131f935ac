//! Formats defined by Microsoft: security identifiers, access control lists, event queries,
//! and error codes.

pub mod query;
pub mod remedies;
pub mod sddl;
pub mod sid;
