//! Choices: asking changes nothing, forks and schedules agree, and what a choice makes happen does happen.

use kernel::{Action, ChoicePoints, Deed, Event, EventKind, Machine, RequestId, RunEnd, Schedule, Until};
use memory::TrimPolicy;
use nt_types::{NtStatus, Va};

use crate::sample::{IOCTL, Lab, Setup};

const ASKING: Setup = Setup { trim: TrimPolicy::OnRaise, choices: ChoicePoints::USUAL, ..Setup::TRIMMED };
const TWO_PROCESSORS: Setup = Setup { processors: 2, trim: TrimPolicy::AtOnce, ..ASKING };

/// All that the machine tells of a run.
fn told(machine: &Machine) -> Vec<String> {
    let choices = |event: &&Event| !matches!(event.kind, EventKind::Chosen { .. });
    machine.events.iter().filter(choices).map(|event| format!("{event:?}")).collect()
}

/// A driver that was opened, and a control request that has not run yet.
fn before_ioctl(setup: Setup, driver: &str) -> (Lab, RequestId) {
    let mut lab = Lab::new(setup);
    let base = lab.load(driver).expect("it starts");
    let file = lab.open(base).expect("it opens");
    let request = lab.start(Action::Ioctl { file, code: IOCTL, input: vec![0; 4], output_length: 64 });
    (lab, request)
}

/// Runs to the end without further questions: what happened, and how it ended.
fn to_the_end(lab: &mut Lab, machine: &mut Machine, until: Until) -> (Vec<String>, String) {
    machine.ask_from(None);
    let end = machine.run(&mut lab.engine, until);
    (told(machine), format!("{end:?}"))
}

#[test]
fn asking_without_an_answer_changes_nothing() {
    for driver in ["broken/x10-lock-leak", "broken/x13-lock-in-dpc", "parallel/parallel"] {
        let runs = [ChoicePoints::NONE, ChoicePoints::USUAL].map(|choices| {
            let (mut lab, request) = before_ioctl(Setup { choices, ..Setup::TRIMMED }, driver);
            let end = lab.finish(request).map(|_| ());
            (told(&lab.machine), format!("{end:?}"), lab.machine.steps())
        });
        assert_eq!(runs[0], runs[1], "{driver}");
    }
}

/// Each deed of each choice, in a fork made there, does what the same deed does in a run from the start.
fn each_fork_replays(setup: Setup, driver: &str) -> Vec<Deed> {
    let (mut lab, request) = before_ioctl(setup, driver);
    let until = Until::Answered(request);
    let first = lab.machine.choices_made();
    lab.machine.ask_from(Some(first));
    let mut deeds = Vec::new();
    while let RunEnd::Undecided = lab.machine.run(&mut lab.engine, until) {
        let choice = lab.machine.choice().expect("it is undecided").clone();
        for deed in choice.deeds {
            let mut fork = lab.machine.fork();
            fork.answer_choice(Some(deed));
            let explored = to_the_end(&mut lab, &mut fork, until);
            assert_eq!(fork.schedule_so_far(), &vec![(choice.index, deed)]);
            assert_eq!(replayed(setup, driver, fork.schedule_so_far().clone()), explored, "{driver}: {deed:?}");
            deeds.push(deed);
        }
        lab.machine.answer_choice(None);
    }
    deeds
}

fn replayed(setup: Setup, driver: &str, schedule: Schedule) -> (Vec<String>, String) {
    let (mut lab, request) = before_ioctl(setup, driver);
    lab.machine.follow(schedule);
    let end = lab.machine.run(&mut lab.engine, Until::Answered(request));
    assert_eq!(lab.machine.parting(), None);
    (told(&lab.machine), format!("{end:?}"))
}

#[test]
fn a_fork_at_a_choice_and_a_schedule_from_the_start_agree() {
    for driver in ["broken/x13-lock-in-dpc", "parallel/parallel"] {
        let deeds = each_fork_replays(ASKING, driver);
        assert!(deeds.contains(&Deed::Trim), "{driver}: {deeds:?}");
    }
}

#[test]
fn every_instruction_can_be_a_moment() {
    let choices = ChoicePoints::TRIM.and(ChoicePoints::EVERY_INSTRUCTION);
    let usual = each_fork_replays(Setup { choices: ChoicePoints::TRIM, ..ASKING }, "broken/x13-lock-in-dpc").len();
    let strict = each_fork_replays(Setup { choices, ..ASKING }, "broken/x13-lock-in-dpc").len();
    assert!(strict > usual, "{strict} moments, and {usual} after calls");
}

#[test]
fn an_allocation_fails_where_that_is_chosen() {
    let mut lab = Lab::new(ASKING);
    let file = format!("{}/../../drivers/mixer/mixer.sys", env!("CARGO_MANIFEST_DIR"));
    let image = driver_image::Image::parse(std::fs::read(file).expect("the sample")).expect("it is valid");
    let base = lab.machine.load_driver("mixer.sys", image).expect("it can be loaded");
    let request = lab.machine.initialize_driver(base).expect("the driver object is made");
    lab.machine.ask_from(Some(0));
    while let RunEnd::Undecided = lab.machine.run(&mut lab.engine, Until::Answered(request)) {
        let fails = lab.machine.choice().is_some_and(|choice| choice.deeds == [Deed::Fail]);
        lab.machine.answer_choice(fails.then_some(Deed::Fail));
    }
    let status = lab.machine.answer_of(request).map(|answer| answer.status);
    assert_eq!(status, Some(NtStatus::INSUFFICIENT_RESOURCES));
}

#[test]
fn a_schedule_that_does_not_fit_is_given_up_and_says_where() {
    let (mut lab, request) = before_ioctl(ASKING, "broken/x10-lock-leak");
    let index = lab.machine.choices_made() + 2;
    lab.machine.follow(vec![(index, Deed::Interrupt(99)), (index + 1, Deed::Trim)]);
    lab.finish(request).expect("it ends as without a schedule");
    let parting = lab.machine.parting().expect("it parted");
    assert_eq!((parting.index, parting.wanted), (index, Deed::Interrupt(99)));
    assert!(lab.machine.schedule_so_far().is_empty());
}

/// X08: a close that pages the driver while an open on the other processor connects its interrupt.
#[test]
fn k19_an_open_overtakes_a_close_on_another_processor() {
    let mut lab = Lab::new(TWO_PROCESSORS);
    let base = lab.load("broken/x08-page-entire-race").expect("it starts");
    let file = lab.open(base).expect("it opens");
    let name = lab.machine.openable_names(base).remove(0);
    let mut act = |thread: &str, processor, action| {
        lab.machine.act_as("test", thread, Some(processor), action).unwrap_or_else(|trap| panic!("{trap:?}"))
    };
    let requests = [act("closer", 0, Action::Close { file }), act("opener", 1, Action::Open { name })];
    let first = lab.machine.choices_made();
    lab.machine.ask_from(Some(first));
    assert!(races(&mut lab, requests[1], 2), "two switches suffice");
}

/// Depth first: true where some schedule with so many switches of the processor finds K19.
fn races(lab: &mut Lab, request: RequestId, switches: u32) -> bool {
    let found = |machine: &Machine| told(machine).iter().any(|event| event.contains("K19"));
    while let RunEnd::Undecided = lab.machine.run(&mut lab.engine, Until::Answered(request)) {
        let choice = lab.machine.choice().expect("it is undecided").clone();
        let switch = choice.deeds.into_iter().find(|deed| matches!(deed, Deed::Processor(_)));
        if let (Some(deed), 1..) = (switch, switches) {
            let fork = lab.machine.fork();
            let here = std::mem::replace(&mut lab.machine, fork);
            lab.machine.answer_choice(Some(deed));
            if races(lab, request, switches - 1) {
                return true;
            }
            lab.machine = here;
        }
        lab.machine.answer_choice(None);
    }
    found(&lab.machine)
}

#[test]
fn a_vector_without_a_service_routine_is_not_offered() {
    let (mut lab, request) = before_ioctl(ASKING, "broken/x10-lock-leak");
    let first = lab.machine.choices_made();
    lab.machine.ask_from(Some(first));
    let mut places = Vec::new();
    while let RunEnd::Undecided = lab.machine.run(&mut lab.engine, Until::Answered(request)) {
        let choice = lab.machine.choice().expect("it is undecided");
        assert!(!choice.deeds.iter().any(|deed| matches!(deed, Deed::Interrupt(_))), "{choice:?}");
        places.push(choice.place);
        lab.machine.answer_choice(None);
    }
    assert!(places.iter().all(|place| *place != Va::NULL));
}
