//! Where handles of sections are kept, and which section's handle a place holds.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::{Objects, Place};
use crate::ddi::Does;
use crate::flow::{EventKind, Facts, Value};
use crate::model::Model;

/// Places that outlive every routine and hold handles of sections.
#[derive(Default)]
pub(crate) struct Kept {
    /// What may be stored there: sections, and [`Facts::ALL_SECTIONS`] for something that is not known.
    places: BTreeMap<Place, Facts>,
    /// Handles that go where they are not followed, and so may come to any place.
    elsewhere: Facts,
    /// The places whose handles the driver gives to the routine that unlocks; `None` if it is not known of each call.
    unlocked: Option<BTreeSet<Place>>,
}

impl Kept {
    pub(super) fn find(model: &Model<'_>, objects: &Objects) -> Kept {
        let mut kept = Kept { unlocked: unlocked(model, objects), ..Kept::default() };
        for (function, event) in model.all_events() {
            let EventKind::KeepsHandle { place, sections } = event.kind else { continue };
            match objects.place(function as u32, place.pointee()) {
                Some(place) => {
                    let here = kept.places.entry(place).or_insert(Facts::NONE);
                    *here = here.or(if sections.is_empty() { Facts::ALL_SECTIONS } else { sections });
                }
                None => kept.elsewhere = kept.elsewhere.or(sections),
            }
        }
        kept
    }

    /// The section whose handle lies at a place, if it is certainly that of one.
    pub(crate) fn section(&self, place: Place) -> Option<usize> {
        let here = self.places.get(&place)?.or(self.elsewhere);
        here.only_section()
    }

    /// Does no call that unlocks take a handle from this place?
    pub(crate) fn is_never_unlocked(&self, place: Place) -> bool {
        self.unlocked.as_ref().is_some_and(|places| !places.contains(&place))
    }

    /// May a call that unlocks be given a handle of a section that another routine kept?
    pub(crate) fn is_unlockable(&self, section: usize) -> bool {
        let may_be = |place: &Place| self.section(*place).is_none_or(|it| it == section);
        self.unlocked.as_ref().is_none_or(|places| places.iter().any(may_be))
    }

    /// Is the handle of a section kept where it can be taken again?
    pub(crate) fn holds(&self, section: usize) -> bool {
        self.places.values().any(|here| here.only_section() == Some(section))
    }

    /// Nothing is ever stored at the place, as far as is known.
    pub(crate) fn is_never_set(&self, place: Place) -> bool {
        self.elsewhere.is_empty() && !self.places.contains_key(&place)
    }
}

/// Calls that are given a handle which lies at such a place: functions, addresses in them, and sections.
pub(super) fn calls(model: &Model<'_>, objects: &Objects) -> Vec<(usize, u32, usize)> {
    let kept = Kept::find(model, objects);
    let takes = model.import_calls().filter(|(_, _, id, _)| model.program.takes_handle(*id));
    let known = takes.filter_map(|(function, event, _, arguments)| {
        let place = objects.place(function as u32, *arguments.first()?)?;
        Some((function, event.at, kept.section(place)?))
    });
    known.collect()
}

fn unlocked(model: &Model<'_>, objects: &Objects) -> Option<BTreeSet<Place>> {
    let mut places = BTreeSet::new();
    for (function, _, _, arguments) in model.import_calls().filter(|(_, _, id, _)| model.does(*id, Does::Unlock)) {
        match arguments.first().copied().unwrap_or_default() {
            Value::Handle(_) => {}
            handle => drop(places.insert(objects.place(function as u32, handle)?)),
        }
    }
    Some(places)
}
