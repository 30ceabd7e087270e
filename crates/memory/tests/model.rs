//! Any sequence of operations, compared with a plain byte map: content read back equals content last written, no page
//! leaves that may not, forks are independent, and equal stamps mean equal bytes.

use std::collections::HashMap;

use engine::{Access, Mmu};
use memory::{
    Absence, Backing, Frame, InitialResidency, Memory, MemoryConfig, PageIn, PageState, Protection, ReadTicket, Region,
    TrimPolicy, TrimReason,
};
use nt_types::{PAGE_SIZE, Va};
use proptest::prelude::*;
use section_paging::{Handle, ImageId, ImageKind, LockStep, NewImage, NewSection, PageEntireStep, PageRun, ResetStep};

const POOL: usize = 16;
const FIXED: usize = 2;
const IMAGE: usize = 8;
const IMAGE_START: usize = POOL + FIXED;
const PAGES: usize = IMAGE_START + IMAGE;
/// First page and pages of each section: .text, PAGE, PAGEB, .data, INIT.
const SECTIONS: [(usize, usize); 5] = [(1, 2), (3, 1), (4, 1), (5, 1), (6, 2)];
const LOAD_MAP: (usize, usize) = (3, 2);
const INIT: usize = 4;

#[derive(Clone, Debug)]
enum Op {
    Write(usize, u16, u8),
    Fetch(usize),
    Trim,
    Settle,
    Evict(usize),
    Begin(usize),
    BeginRange(usize, u64),
    Finish(usize),
    Lock(usize),
    Unlock(usize),
    PageEntire,
    Reset,
    Pin(usize),
    Unpin(usize),
    Discard,
    Renew(usize),
    Fork,
    Drop,
}

fn op() -> impl Strategy<Value = Op> {
    let page = 0..PAGES;
    prop_oneof![
        8 => (page.clone(), 0..4096u16, any::<u8>()).prop_map(|(page, offset, value)| Op::Write(page, offset, value)),
        3 => page.clone().prop_map(Op::Fetch),
        3 => Just(Op::Trim),
        1 => Just(Op::Settle),
        2 => page.clone().prop_map(Op::Evict),
        2 => page.clone().prop_map(Op::Begin),
        1 => (page.clone(), 1..10u64).prop_map(|(page, count)| Op::BeginRange(page, count)),
        2 => any::<usize>().prop_map(Op::Finish),
        2 => (0..SECTIONS.len()).prop_map(Op::Lock),
        2 => (0..SECTIONS.len()).prop_map(Op::Unlock),
        1 => Just(Op::PageEntire),
        1 => Just(Op::Reset),
        1 => page.prop_map(Op::Pin),
        1 => any::<usize>().prop_map(Op::Unpin),
        1 => Just(Op::Discard),
        1 => (0..POOL).prop_map(Op::Renew),
        1 => Just(Op::Fork),
        1 => Just(Op::Drop),
    ]
}

fn config() -> impl Strategy<Value = MemoryConfig> {
    let policies = vec![TrimPolicy::Never, TrimPolicy::Pressure, TrimPolicy::OnRaise, TrimPolicy::AtOnce];
    let initial = vec![InitialResidency::Out, InitialResidency::Resident];
    (32..60u32, prop::sample::select(policies), prop::sample::select(initial), any::<bool>(), any::<u64>()).prop_map(
        |(frames, trim, initial, transition_stay, seed)| MemoryConfig {
            frames,
            trim,
            initial,
            transition_stay,
            seed,
            ..MemoryConfig::default()
        },
    )
}

/// A memory and what should be in it.
struct Machine {
    memory: Memory,
    image: ImageId,
    content: Vec<Vec<u8>>,
    handles: [Vec<Handle>; SECTIONS.len()],
    pins: Vec<(usize, Vec<Frame>)>,
    overridden: bool,
    discarded: bool,
    reads: Vec<ReadTicket>,
    /// Pages that were fetched: code epoch and stamp.
    fetched: HashMap<usize, (u64, u64)>,
}

fn image_base() -> Va {
    Region::Image.base()
}

fn va(page: usize) -> Va {
    let (base, index) = match page {
        0..POOL => (Region::PagedPool.base(), page),
        POOL..IMAGE_START => (Region::NonpagedPool.base(), page - POOL),
        _ => (image_base(), page - IMAGE_START),
    };
    base + index as u64 * PAGE_SIZE
}

fn covers((first, count): (usize, usize), image_page: usize) -> bool {
    (first..first + count).contains(&image_page)
}

impl Machine {
    fn new(config: MemoryConfig) -> Option<Machine> {
        let mut memory = Memory::new(config).unwrap();
        let pool = memory.allocate(Region::PagedPool, POOL as u64, Backing::Pageable, Protection::ALL).ok()?;
        let fixed = memory.allocate(Region::NonpagedPool, FIXED as u64, Backing::Resident, Protection::ALL).ok()?;
        let base = memory.reserve(Region::Image, IMAGE as u64).ok()?;
        assert_eq!([pool, fixed, base], [va(0), va(POOL), va(IMAGE_START)]);
        let section = |(first, count): (usize, usize)| NewSection {
            va: (first * 4096) as u32,
            span: (count * 4096) as u32,
            pageable: covers(LOAD_MAP, first),
        };
        let new = NewImage {
            name: "model.sys",
            kind: ImageKind::Driver,
            base,
            size_bytes: (IMAGE * 4096) as u32,
            sections: &SECTIONS.map(section),
            load_map: &[PageRun::at(base + (LOAD_MAP.0 * 4096) as u64, LOAD_MAP.1 as u64)],
        };
        let mut content = vec![vec![0; 4096]; PAGES];
        for (number, page) in content.iter_mut().enumerate().skip(IMAGE_START) {
            page.fill(number as u8);
        }
        let image = memory.load_image(&new, &content[IMAGE_START..].concat(), &[Protection::ALL; IMAGE]).ok()?;
        Some(Machine {
            memory,
            image,
            content,
            handles: Default::default(),
            pins: Vec::new(),
            overridden: false,
            discarded: false,
            reads: Vec::new(),
            fetched: HashMap::new(),
        })
    }

    fn fork(&mut self) -> Machine {
        Machine {
            memory: self.memory.fork(),
            image: self.image,
            content: self.content.clone(),
            handles: self.handles.clone(),
            pins: self.pins.clone(),
            overridden: self.overridden,
            discarded: self.discarded,
            reads: self.reads.clone(),
            fetched: self.fetched.clone(),
        }
    }

    fn is_gone(&self, page: usize) -> bool {
        self.discarded && page >= IMAGE_START && covers(SECTIONS[INIT], page - IMAGE_START)
    }

    /// What may never leave memory, by the documents alone.
    fn must_be_resident(&self, page: usize) -> bool {
        if self.is_gone(page) || page < POOL {
            return self.is_pinned(page);
        }
        let Some(image_page) = page.checked_sub(IMAGE_START) else { return true };
        let locked = |section: usize| !self.handles[section].is_empty() && covers(SECTIONS[section], image_page);
        let pageable = self.overridden || covers(LOAD_MAP, image_page);
        !pageable || self.is_pinned(page) || (0..SECTIONS.len()).any(locked)
    }

    fn is_pinned(&self, page: usize) -> bool {
        !self.is_gone(page) && self.pins.iter().any(|(pinned, _)| *pinned == page)
    }

    /// Brings in a page; false where it is gone, or where there is no frame.
    fn page_in(&mut self, page: usize) -> bool {
        match self.memory.begin_page_in(va(page)) {
            Ok(PageIn::AlreadyIn | PageIn::Soft) => true,
            Ok(PageIn::Hard(ticket) | PageIn::Shared(ticket)) => {
                self.memory.finish(ticket).is_ok() && self.memory.read_u8(va(page)).is_ok()
            }
            Ok(PageIn::Absent(absence)) => {
                assert!(self.is_gone(page) && absence == Absence::Discarded);
                false
            }
            Err(_) => {
                self.check_exhausted();
                false
            }
        }
    }

    /// There is no frame only if nothing may leave.
    fn check_exhausted(&mut self) {
        let never = self.memory.config().trim == TrimPolicy::Never;
        assert_eq!(self.memory.counters().frames_used, self.memory.config().frames);
        assert!(never || self.memory.eligible().is_empty());
    }

    fn apply(&mut self, op: &Op, stamps: &mut HashMap<u64, Vec<u8>>) {
        match *op {
            Op::Write(page, offset, value) => self.write(page, offset, value),
            Op::Fetch(page) => self.fetch(page, stamps),
            Op::Trim => drop(self.memory.trim(TrimReason::Raise)),
            Op::Settle => drop(self.memory.settle()),
            Op::Evict(page) => drop(self.memory.evict(&[va(page)], TrimReason::Command)),
            Op::Begin(page) => {
                if let Ok(PageIn::Hard(ticket)) = self.memory.begin_page_in(va(page)) {
                    self.reads.push(ticket);
                }
            }
            Op::BeginRange(page, count) => {
                if let Ok(begun) = self.memory.begin_page_in_runs([PageRun::at(va(page), count)]) {
                    self.reads.extend(begun.tickets);
                }
            }
            Op::Finish(which) => {
                if !self.reads.is_empty() {
                    let ticket = self.reads.swap_remove(which % self.reads.len());
                    let _ = self.memory.finish(ticket);
                }
            }
            Op::Lock(section) => self.lock(section),
            Op::Unlock(section) => {
                if let Some(handle) = self.handles[section].pop() {
                    self.memory.paging_mut().unlock(handle, Va::NULL).unwrap();
                }
            }
            Op::PageEntire => {
                let PageEntireStep::FlushDpcs(flush) = self.memory.paging_mut().page_entire(image_base(), false).step
                else {
                    panic!("nothing else is in progress")
                };
                self.memory.paging_mut().finish_page_entire(flush);
                self.overridden = true;
            }
            Op::Reset => self.reset(),
            Op::Pin(page) => {
                if self.page_in(page) {
                    let frames = self.memory.pin(va(page), 4096, Access::Write).unwrap();
                    self.pins.push((page, frames));
                }
            }
            Op::Unpin(which) => {
                if !self.pins.is_empty() {
                    let (_, frames) = self.pins.swap_remove(which % self.pins.len());
                    self.memory.unpin(&frames).unwrap();
                }
            }
            Op::Discard => {
                let (first, count) = SECTIONS[INIT];
                let run = PageRun::at(va(IMAGE_START + first), count as u64);
                drop(self.memory.discard(self.image, &[INIT as u16], &[run]));
                self.discarded = true;
            }
            Op::Renew(page) => {
                if !self.is_pinned(page) {
                    self.memory.unmap(va(page), 1);
                    self.memory.map(va(page), 1, Backing::Pageable, Protection::ALL).unwrap();
                    self.content[page].fill(0);
                }
            }
            Op::Fork | Op::Drop => {}
        }
    }

    fn write(&mut self, page: usize, offset: u16, value: u8) {
        if self.page_in(page) {
            let (address, index) = (va(page).0 + u64::from(offset), usize::from(offset));
            assert_eq!(self.memory.load(address), Ok([self.content[page][index]]));
            self.memory.store(address, [value]).unwrap();
            self.content[page][index] = value;
            assert_eq!(self.memory.load(address), Ok([value]));
        }
    }

    fn fetch(&mut self, page: usize, stamps: &mut HashMap<u64, Vec<u8>>) {
        if self.page_in(page) {
            let span = self.memory.fetch(va(page).0).unwrap();
            let (stamp, bytes) = (span.stamp, span.bytes.to_vec());
            assert_ne!(stamp, 0);
            assert_eq!(stamps.entry(stamp).or_insert(bytes.clone()), &bytes, "equal stamps, equal bytes");
            self.fetched.insert(page, (self.memory.code_epoch(), stamp));
        }
    }

    fn lock(&mut self, section: usize) {
        let address = image_base() + (SECTIONS[section].0 * 4096) as u64;
        let Ok(answer) = self.memory.paging_mut().lock_by_address(address, address) else {
            return assert!(self.discarded && section == INIT);
        };
        match answer.step {
            LockStep::Locked(locked) => self.handles[section].push(locked.handle),
            LockStep::Wait(_) => panic!("nobody else locks"),
            LockStep::PageIn(transition) => {
                let begun = self.memory.begin_page_in_runs(transition.pages().iter());
                let done = begun.map(|begun| begun.tickets.into_iter().try_for_each(|it| self.memory.finish(it)));
                if let Ok(Ok(())) = done {
                    let locked = self.memory.paging_mut().finish(transition).unwrap();
                    self.handles[section].push(locked.handle);
                } else {
                    self.check_exhausted();
                    self.memory.paging_mut().abort(transition);
                }
            }
        }
    }

    fn reset(&mut self) {
        let ResetStep::PageIn(restore) = self.memory.paging_mut().reset(image_base(), false).step else { return };
        let begun = self.memory.begin_page_in_runs(restore.pages().iter());
        let done = begun.map(|begun| begun.tickets.into_iter().try_for_each(|it| self.memory.finish(it)));
        if let Ok(Ok(())) = done {
            self.memory.paging_mut().finish_reset(restore);
            self.overridden = false;
        } else {
            self.check_exhausted();
            self.memory.paging_mut().abort_reset(restore);
        }
    }

    fn check(&mut self) {
        let mut bytes = vec![0; 4096];
        for page in 0..PAGES {
            let read = self.memory.peek(va(page), &mut bytes);
            if self.is_gone(page) {
                assert_eq!(read, Err(Absence::Discarded));
                continue;
            }
            assert_eq!((read, &bytes), (Ok(()), &self.content[page]), "page {page}");
            let state = self.memory.page_state(va(page));
            let resident = matches!(state, PageState::Resident { .. });
            assert!(resident || !self.must_be_resident(page), "page {page} may not leave: {state:?}");
            let eligible = matches!(state, PageState::Resident { eligible: true, .. });
            assert_eq!(eligible, resident && !self.must_be_resident(page), "page {page}");
        }
        for (&page, &(epoch, stamp)) in &self.fetched {
            if epoch == self.memory.code_epoch() {
                let span = self.memory.fetch(va(page).0).expect("still mapped and executable");
                assert_eq!((span.stamp, span.bytes), (stamp, &self.content[page][..]));
            }
        }
        assert!(self.memory.counters().frames_used <= self.memory.config().frames);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn content_is_what_was_written(
        config in config(),
        steps in prop::collection::vec((any::<usize>(), op()), 1..150),
    ) {
        let Some(machine) = Machine::new(config) else { return Ok(()) };
        let mut machines = vec![machine];
        let mut stamps = HashMap::new();
        for (which, op) in steps {
            let index = which % machines.len();
            match op {
                Op::Fork if machines.len() < 5 => {
                    let fork = machines[index].fork();
                    machines.push(fork);
                }
                Op::Drop if machines.len() > 1 => drop(machines.swap_remove(index)),
                _ => machines[index].apply(&op, &mut stamps),
            }
            machines.iter_mut().for_each(Machine::check);
        }
    }
}
