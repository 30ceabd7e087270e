//! Everything that could go either way is one call of [`Machine::choose`].
//!
//! A machine asks only at the points that [`ChoicePoints`] names. Whatever it asks, doing nothing special is always
//! possible and is the default, so that a machine that nobody answers behaves as one that does not ask. Choices are
//! numbered in the order of the run; a [`Schedule`] names those that are to be answered otherwise. The machine is
//! deterministic, so a schedule is a whole run, and a token that replays it.
//!
//! Restart, do not resume: a choice that has no answer ends [`Machine::run`] with [`RunEnd::Undecided`] and nothing
//! committed. Whoever explores forks the machine there and answers differently in each fork.
//!
//! [`RunEnd::Undecided`]: crate::RunEnd::Undecided

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use nt_types::Va;

use crate::deed::Deed;
use crate::event::EventKind;
use crate::machine::Machine;

/// Where a machine asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct ChoicePoints(u16);

impl ChoicePoints {
    /// Nowhere.
    pub const NONE: ChoicePoints = ChoicePoints(0);
    /// [`Deed::Trim`].
    pub const TRIM: ChoicePoints = ChoicePoints(1);
    /// [`Deed::Interrupt`].
    pub const INTERRUPT: ChoicePoints = ChoicePoints(1 << 1);
    /// [`Deed::Switch`] and [`Deed::Processor`].
    pub const SWITCH: ChoicePoints = ChoicePoints(1 << 2);
    /// [`Deed::Time`].
    pub const TIME: ChoicePoints = ChoicePoints(1 << 3);
    /// [`Deed::Cancel`].
    pub const CANCEL: ChoicePoints = ChoicePoints(1 << 4);
    /// [`Deed::Fail`].
    pub const FAIL: ChoicePoints = ChoicePoints(1 << 5);
    /// [`Deed::Absent`] and [`Deed::Befall`].
    pub const DEVICE: ChoicePoints = ChoicePoints(1 << 6);
    /// Asks between any two instructions, not only after calls, faults and changes of IRQL.
    pub const EVERY_INSTRUCTION: ChoicePoints = ChoicePoints(1 << 7);
    /// [`Deed::TrimSection`].
    pub const TRIM_SECTION: ChoicePoints = ChoicePoints(1 << 8);
    /// [`Deed::TrimPage`].
    pub const TRIM_PAGE: ChoicePoints = ChoicePoints(1 << 9);
    /// [`Deed::Switch`] to the thread that is next in turn only, and [`Deed::Processor`].
    pub const DELAY: ChoicePoints = ChoicePoints(1 << 10);
    /// [`Deed::Order`], but for completions.
    pub const ORDER: ChoicePoints = ChoicePoints(1 << 11);
    /// Any way to trim.
    pub const ANY_TRIM: ChoicePoints = ChoicePoints(1 | 0b11 << 8);
    /// Any way to change an order.
    pub const ANY_ORDER: ChoicePoints = ChoicePoints(0b11 << 11);
    /// Any way to take the processor from a thread.
    pub const ANY_SWITCH: ChoicePoints = ChoicePoints(1 << 2 | 1 << 10);
    /// [`Turn::LateCompletion`](crate::Turn::LateCompletion) and [`Turn::CompletionInDpc`](crate::Turn::CompletionInDpc).
    pub const COMPLETION: ChoicePoints = ChoicePoints(1 << 12);
    const ALL: ChoicePoints = ChoicePoints((1 << 13) - 1);
    /// What is asked at a moment of the run, rather than by a call or an access.
    const MOMENT: ChoicePoints = ChoicePoints(0b111_0001_1111);
    /// All deeds but those of devices, after calls, faults and changes of IRQL.
    pub const USUAL: ChoicePoints = ChoicePoints(0b11_1111 | 0b11 << 11);

    /// Both.
    pub const fn and(self, other: ChoicePoints) -> ChoicePoints {
        ChoicePoints(self.0 | other.0)
    }

    /// True where any of these is among them.
    pub const fn has(self, other: ChoicePoints) -> bool {
        self.0 & other.0 != 0
    }

    /// As a number that stays the same from version to version.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// From such a number; bits that mean nothing are left out.
    pub const fn from_bits(bits: u16) -> ChoicePoints {
        ChoicePoints(bits & ChoicePoints::ALL.0)
    }
}

/// A choice that waits for its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Its number in this run, from 0.
    pub index: u32,
    /// Where the processor was.
    pub place: Va,
    /// What can happen instead of nothing: at least one deed, or none after [`Machine::stop_at_choices`].
    pub deeds: Vec<Deed>,
}

/// The choices that are not answered by doing nothing: number and deed, in ascending order of numbers.
pub type Schedule = Vec<(u32, Deed)>;

/// Where a schedule stopped to fit the run: there it was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parting {
    /// Number of the choice.
    pub index: u32,
    /// What the schedule wanted.
    pub wanted: Deed,
    /// Instructions retired before it.
    pub step: u64,
}

/// Questions and answers of a machine.
#[derive(Clone, Default, Debug)]
pub(crate) struct Choices {
    /// Choices made so far.
    made: u32,
    /// Answers given in advance.
    planned: Arc<Schedule>,
    /// How many of them were used.
    used: usize,
    /// From this choice on the machine asks; `u32::MAX` for never.
    ask_from: Option<u32>,
    /// It asks without finding out what is possible.
    stops_only: bool,
    pending: Option<Choice>,
    /// The answer to what was pending.
    answer: Option<Option<Deed>>,
    /// What was not answered by doing nothing.
    deeds: Schedule,
    parting: Option<Parting>,
}

impl Hash for Choices {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // What was chosen, the numbers of choices and from when on to ask are for whoever chooses. Of two questions before
        // the same step what is possible tells them apart.
        let Choices { made, planned, used, ask_from: _, stops_only: _, pending, answer, deeds: _, parting: _ } = self;
        let planned = planned.get(*used..).unwrap_or_default();
        planned.iter().for_each(|(index, deed)| (index.wrapping_sub(*made), deed).hash(state));
        (pending.as_ref().map(|choice| &choice.deeds), answer).hash(state);
    }
}

impl Machine {
    /// Answers choices by this schedule; those that it does not name are answered by doing nothing.
    pub fn follow(&mut self, schedule: Schedule) {
        self.choices.planned = Arc::new(schedule);
        self.choices.used = 0;
    }

    /// From the choice of this number on, what no schedule answers is asked; `None` asks nothing any more.
    pub fn ask_from(&mut self, index: Option<u32>) {
        self.choices.ask_from = index;
        self.choices.stops_only = false;
    }

    /// From now on the run stops at each choice, whose deeds nobody finds out: for whoever looks at the state in between.
    pub fn stop_at_choices(&mut self) {
        self.choices.ask_from = Some(self.choices.made);
        self.choices.stops_only = true;
    }

    /// The choice that ended the run.
    pub fn choice(&self) -> Option<&Choice> {
        self.choices.pending.as_ref()
    }

    /// Answers the choice that ended the run: one of its deeds, or nothing. Without such a choice it does nothing.
    pub fn answer_choice(&mut self, deed: Option<Deed>) {
        if self.choices.pending.take().is_some() {
            self.choices.answer = Some(deed);
        }
    }

    /// Number of choices made so far, those in which nothing could happen included.
    pub fn choices_made(&self) -> u32 {
        self.choices.made
    }

    /// What was not answered by doing nothing so far.
    pub fn schedule_so_far(&self) -> &Schedule {
        &self.choices.deeds
    }

    /// Where the schedule stopped to fit.
    pub fn parting(&self) -> Option<Parting> {
        self.choices.parting
    }

    /// The first choice of the schedule that the run has not come to; `None` where it was followed to its end or given up.
    pub fn unreached(&self) -> Option<u32> {
        self.choices.planned.get(self.choices.used).map(|(index, _)| *index)
    }

    /// Asks what happens here: `deeds` finds out what is possible. `None` while there is no answer: then whoever asks must
    /// have committed nothing, and asks again.
    pub(crate) fn choose(&mut self, deeds: impl FnOnce(&mut Machine) -> Vec<Deed>) -> Option<Option<Deed>> {
        let index = self.choices.made;
        let deed = match self.choices.answer.take() {
            Some(answer) => answer,
            None => match self.planned(index) {
                Some(wanted) => {
                    let possible = deeds(self);
                    self.take_planned(index, wanted, &possible)
                }
                None if self.choices.ask_from.is_none_or(|from| index < from) => None,
                None if self.choices.stops_only => {
                    let place = Va(self.cpu().rip);
                    self.choices.pending = Some(Choice { index, place, deeds: Vec::new() });
                    return None;
                }
                None => {
                    let (mut deeds, place) = (deeds(self), Va(self.cpu().rip));
                    deeds.retain(|deed| self.options.bound.allows(&self.choices.deeds, *deed));
                    if !deeds.is_empty() {
                        self.choices.pending = Some(Choice { index, place, deeds });
                        return None;
                    }
                    None
                }
            },
        };
        self.choices.made += 1;
        if let Some(deed) = deed {
            self.choices.deeds.push((index, deed));
            self.record(EventKind::Chosen { deed });
        }
        Some(deed)
    }

    fn planned(&self, index: u32) -> Option<Deed> {
        let (planned, deed) = self.choices.planned.get(self.choices.used)?;
        (*planned == index).then_some(*deed)
    }

    /// What the schedule wants, if it is possible; else the rest of the schedule is about another run.
    fn take_planned(&mut self, index: u32, wanted: Deed, possible: &[Deed]) -> Option<Deed> {
        if possible.contains(&wanted) {
            self.choices.used += 1;
            return Some(wanted);
        }
        self.choices.used = self.choices.planned.len();
        self.choices.parting = Some(Parting { index, wanted, step: self.steps });
        None
    }

    /// True where a choice waits for its answer.
    pub(crate) fn is_undecided(&self) -> bool {
        self.choices.pending.is_some()
    }

    /// True where anything is asked at moments of the run.
    pub(crate) fn asks_at_moments(&self) -> bool {
        self.options.choices.has(ChoicePoints::MOMENT)
    }
}
