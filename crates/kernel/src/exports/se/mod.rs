//! Security: descriptors, lists and identifiers as data. Everything on this machine runs as the local system, which no
//! descriptor keeps out.

mod access;
mod acl;
mod check;
mod descriptor;
mod sid;
mod token;

use super::Export;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] =
    &[access::EXPORTS, acl::EXPORTS, check::EXPORTS, descriptor::EXPORTS, sid::EXPORTS, token::EXPORTS];
