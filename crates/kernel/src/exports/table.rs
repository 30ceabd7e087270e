//! All export rows.

use std::sync::LazyLock;

use super::{Export, cm, ex, hal, io, ke, mm, ob, po, ps, rtl, se, seh, wmilib};

/// Every exported routine, sorted by name.
pub(crate) static EXPORTS: LazyLock<Vec<&'static Export>> = LazyLock::new(|| {
    let families = [
        cm::TABLES,
        ex::TABLES,
        hal::TABLES,
        io::TABLES,
        ke::TABLES,
        mm::TABLES,
        ob::TABLES,
        po::TABLES,
        ps::TABLES,
        rtl::TABLES,
        se::TABLES,
        seh::TABLES,
        wmilib::TABLES,
    ];
    let mut rows: Vec<&Export> = families.into_iter().flatten().copied().flatten().collect();
    rows.sort_by_key(|export| export.name);
    rows
});

#[cfg(test)]
mod tests {
    use super::EXPORTS;

    #[test]
    fn names_are_distinct() {
        for pair in EXPORTS.windows(2) {
            assert_ne!(pair[0].name, pair[1].name, "two rows for one export");
        }
    }
}
