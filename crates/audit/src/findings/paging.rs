//! Drivers that leave memory as a whole: K03, K04, K19.

use super::{Collector, FindingKind};
use crate::ddi::Does;
use crate::flow::Facts;
use crate::reach::Way;

pub(super) fn find(collector: &mut Collector<'_, '_>) {
    let (model, reach) = (collector.model, collector.reach);
    if !model.anywhere(Does::PageDriver) || !model.anywhere(Does::Connect) {
        return;
    }
    for (function, event, id, _) in model.import_calls() {
        let (pages, connects) = (model.does(id, Does::PageDriver), model.does(id, Does::Connect));
        if !pages && !connects {
            continue;
        }
        for Way { context, initialised, irql, held } in reach.at(function, event) {
            let kind = match () {
                () if connects && !held.has(Facts::RESET) => FindingKind::ConnectBeforeReset,
                // Twice is harmless (R26).
                () if connects || !initialised || held.has(Facts::PAGED) => continue,
                // A request that has reset the driver itself pages it again where connecting failed.
                () if !held.has(Facts::DISCONNECTED) && !held.has(Facts::RESET) => FindingKind::PageEntireWithInterrupt,
                () if !held.has(Facts::MUTEX) => FindingKind::PageEntireRace,
                () => continue,
            };
            collector.add(kind, event.at, Some((context, irql)));
        }
    }
}
