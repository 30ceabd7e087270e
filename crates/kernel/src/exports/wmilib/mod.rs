//! `wmilib.sys`: what drivers use to answer WMI requests.

mod request;

use super::Export;

/// The tables of this family.
pub(crate) const TABLES: &[&[Export]] = &[request::EXPORTS];
