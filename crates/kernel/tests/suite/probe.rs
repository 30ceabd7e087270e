//! A driver that does what the test tells it: touch an address or call a routine, at any IRQL.

use devices::Bus;
use driver_image::builder::{CODE, PeBuilder, VARIABLES};
use driver_image::{Image, SectionFlags};
use iced_x86::code_asm::{CodeAssembler, al, byte_ptr, cr8, eax, ecx, qword_ptr, r8, r9, r10, rax, rbx, rcx, rdx, rsp};
use iced_x86::{Code, Instruction, MemoryOperand, Register};
use interpreter::Interpreter;
use kernel::{Deed, EventKind, Machine, Options, RequestId, RunEnd, Stop, Until};
use memory::{Memory, MemoryConfig};
use nt_types::{PAGE_SIZE, Rva, Va};

/// The probe in a machine of its own.
pub(crate) struct Probe {
    pub(crate) machine: Machine,
    pub(crate) base: Va,
    engine: Interpreter<Memory>,
    layout: Layout,
}

/// Where things are in the probe's image.
struct Layout {
    file: Vec<u8>,
    invoke: Rva,
    invoke_with_fifth: Rva,
    call: Rva,
    read: Rva,
    write: Rva,
    spin: Rva,
    record: Rva,
    data: Rva,
    paged: Rva,
    init: Rva,
}

/// Where the recorder keeps its log in the probe's data: calls, five arguments, then what it returns.
const LOG: u64 = 0xF00;

/// `PAGEX` has this many pages, all `ret`.
pub(crate) const PAGED_PAGES: u64 = 2;

fn layout() -> Layout {
    let mut builder = PeBuilder::new();
    let data = builder.section_of_size(".data", VARIABLES, &[], PAGE_SIZE as u32);
    let everything = SectionFlags(VARIABLES.0 | CODE.0);
    let paged = builder.section("PAGEX", everything, &vec![0xC3; (PAGED_PAGES * PAGE_SIZE) as usize]);
    let text = builder.next_rva();
    let mut a = CodeAssembler::new(64).unwrap();
    a.xor(eax, eax).unwrap(); // DriverEntry
    a.ret().unwrap();
    let [mut invoke_with_fifth, mut invoke, mut call, mut read, mut write, mut spin] =
        [(); 6].map(|()| a.create_label());
    // What it saves of rbx lies where the routine looks for its fifth argument.
    a.set_label(&mut invoke_with_fifth).unwrap();
    a.mov(rbx, qword_ptr(rsp + 0x28)).unwrap();
    a.set_label(&mut invoke).unwrap();
    a.push(rbx).unwrap();
    a.sub(rsp, 0x20).unwrap();
    a.mov(cr8, rcx).unwrap();
    a.mov(rcx, r8).unwrap();
    a.mov(rax, rdx).unwrap();
    a.mov(rdx, r9).unwrap();
    a.set_label(&mut call).unwrap();
    a.call(rax).unwrap();
    a.xor(ecx, ecx).unwrap();
    a.mov(cr8, rcx).unwrap();
    a.add(rsp, 0x20).unwrap();
    a.pop(rbx).unwrap();
    a.ret().unwrap();
    a.set_label(&mut read).unwrap();
    a.mov(al, byte_ptr(rcx)).unwrap();
    a.ret().unwrap();
    a.set_label(&mut write).unwrap();
    a.mov(byte_ptr(rcx), al).unwrap();
    a.ret().unwrap();
    a.set_label(&mut spin).unwrap();
    a.sub(rsp, 0x400).unwrap();
    a.call(spin).unwrap();
    let mut record = a.create_label();
    a.set_label(&mut record).unwrap();
    let log = MemoryOperand::with_base_displ(Register::RIP, i64::from(data.0) + LOG as i64);
    a.add_instruction(Instruction::with2(Code::Lea_r64_m, Register::RAX, log).unwrap()).unwrap();
    a.inc(qword_ptr(rax)).unwrap();
    a.mov(r10, qword_ptr(rsp + 0x28)).unwrap();
    for (index, register) in (1..).zip([rcx, rdx, r8, r9, r10]) {
        a.mov(qword_ptr(rax + 8 * index), register).unwrap();
    }
    a.mov(rax, qword_ptr(rax + 0x30)).unwrap();
    a.ret().unwrap();
    let options = iced_x86::BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
    let code = a.assemble_options(u64::from(text.0), options).unwrap();
    let [invoke_with_fifth, invoke, call, read, write, spin, record] =
        [invoke_with_fifth, invoke, call, read, write, spin, record]
            .map(|label| Rva(code.label_ip(&label).unwrap() as u32));
    builder.section(".text", CODE, &code.inner.code_buffer);
    builder.entry_point(text);
    let init = builder.section("INIT", SectionFlags(CODE.0 | SectionFlags::DISCARDABLE), &[0xC3; 16]);
    Layout { file: builder.build(), invoke, invoke_with_fifth, call, read, write, spin, record, data, paged, init }
}

impl Probe {
    /// A machine with the probe, initialised: its INIT section is discarded.
    pub(crate) fn new(options: Options, config: MemoryConfig) -> Probe {
        Probe::on(Bus::new(), options, config)
    }

    /// The same, with devices.
    pub(crate) fn on(bus: Bus, options: Options, config: MemoryConfig) -> Probe {
        let layout = layout();
        let mut machine = Machine::boot(options, config, bus).expect("the machine boots");
        let image = Image::parse(layout.file.clone()).expect("the image is well formed");
        let base = machine.load_driver("probe.sys", image).expect("the image can be loaded");
        let mut probe = Probe { machine, base, engine: Interpreter::default(), layout };
        let request = probe.machine.initialize_driver(base).expect("the driver object is made");
        probe.finish(request).expect("DriverEntry succeeds");
        let later = probe.machine.now_ns() + 1_000_000;
        probe.run(Until::Time(later)).expect("INIT is discarded");
        probe
    }

    pub(crate) fn plain() -> Probe {
        Probe::new(Options::default(), MemoryConfig::default())
    }

    pub(crate) fn data(&self) -> Va {
        self.base + self.layout.data
    }

    pub(crate) fn paged(&self) -> Va {
        self.base + self.layout.paged
    }

    pub(crate) fn init(&self) -> Va {
        self.base + self.layout.init
    }

    pub(crate) fn text(&self) -> Va {
        self.base + self.layout.invoke
    }

    pub(crate) fn reader(&self) -> Va {
        self.base + self.layout.read
    }

    pub(crate) fn writer(&self) -> Va {
        self.base + self.layout.write
    }

    /// The instruction that calls what a test names.
    pub(crate) fn caller(&self) -> Va {
        self.base + self.layout.call
    }

    /// Does nothing.
    pub(crate) fn nothing(&self) -> Va {
        self.reader() + 2
    }

    /// Keeps the arguments of its last call, and returns what the test set.
    pub(crate) fn recorder(&self) -> Va {
        self.base + self.layout.record
    }

    /// How often the recorder was called, and the arguments of the last call.
    pub(crate) fn recorded(&mut self) -> (u64, [u64; 5]) {
        let log = self.data() + LOG;
        let mut words = (0..6).map(|index| self.machine.read_u64(log + 8 * index).expect("the log can be read"));
        let calls = words.next().expect("there are six");
        (calls, std::array::from_fn(|_| words.next().expect("there are six")))
    }

    /// What the recorder returns from now on.
    pub(crate) fn record_returning(&mut self, value: u64) {
        let result = self.data() + LOG + 0x30;
        self.machine.write_u64(result, value).expect("the log can be written");
    }

    /// Uses up the stack.
    pub(crate) fn spiller(&self) -> Va {
        self.base + self.layout.spin
    }

    /// An export of one of the kernel's images.
    pub(crate) fn export(&self, name: &str) -> Va {
        let images = self.machine.kernel_images();
        let found = ["ntoskrnl.exe", "wmilib.sys"].iter().find_map(|module| images.export(module, name));
        found.expect("the routine is exported")
    }

    /// Begins a call of `routine` at this IRQL, on a thread of its own.
    pub(crate) fn begin(&mut self, irql: u8, routine: Va, arguments: [u64; 2]) -> RequestId {
        let [first, second] = arguments;
        let arguments = [u64::from(irql), routine.0, first, second];
        let invoke = self.base + self.layout.invoke;
        self.machine.call_routine("probe", invoke, &arguments).expect("a thread is made")
    }

    /// Calls `routine` at this IRQL: what it returns.
    pub(crate) fn call(&mut self, irql: u8, routine: Va, arguments: [u64; 2]) -> Result<u64, Box<Stop>> {
        let request = self.begin(irql, routine, arguments);
        self.finish(request)
    }

    /// Calls `routine` at this IRQL, which may wait for ever: what stopped the run within a millisecond.
    pub(crate) fn attempt(&mut self, irql: u8, routine: Va, arguments: [u64; 2]) -> Option<Box<Stop>> {
        self.begin(irql, routine, arguments);
        self.stop_within_a_millisecond()
    }

    /// The same, with a fifth argument.
    pub(crate) fn attempt_with_fifth(
        &mut self,
        irql: u8,
        routine: Va,
        [first, second, fifth]: [u64; 3],
    ) -> Option<Box<Stop>> {
        let arguments = [u64::from(irql), routine.0, first, second, fifth];
        let invoke = self.base + self.layout.invoke_with_fifth;
        self.machine.call_routine("probe", invoke, &arguments).expect("a thread is made");
        self.stop_within_a_millisecond()
    }

    fn stop_within_a_millisecond(&mut self) -> Option<Box<Stop>> {
        let end = self.machine.now_ns() + 1_000_000;
        self.run(Until::Time(end)).err()
    }

    /// Begins a call of an export at `PASSIVE_LEVEL` with any number of arguments, on a thread of its own.
    pub(crate) fn begin_service(&mut self, name: &str, arguments: &[u64]) -> RequestId {
        let routine = self.export(name);
        self.machine.call_routine("probe", routine, arguments).expect("a thread is made")
    }

    /// The same, to its end.
    pub(crate) fn ask(&mut self, name: &str, arguments: &[u64]) -> Result<u64, Box<Stop>> {
        let request = self.begin_service(name, arguments);
        self.finish(request)
    }

    /// Lets virtual time pass.
    pub(crate) fn pass_us(&mut self, time_us: u64) {
        let end = self.machine.now_ns() + time_us * 1000;
        self.run(Until::Time(end)).expect("nothing stops the machine");
    }

    /// Lets one instruction execute.
    pub(crate) fn step(&mut self) {
        let end = self.machine.now_ns() + 1;
        self.run(Until::Time(end)).expect("nothing stops the machine");
    }

    /// Which of these have an answer.
    pub(crate) fn answered(&self, requests: &[RequestId]) -> Vec<bool> {
        requests.iter().map(|request| self.machine.answer_of(*request).is_some()).collect()
    }

    /// Time and processor of each DPC that was entered.
    pub(crate) fn dpcs(&self) -> Vec<(u64, usize)> {
        let is_dpc = |kind: &EventKind| matches!(kind, EventKind::Entered { what: kernel::Routine::Dpc, .. });
        self.machine.events.iter().filter(|event| is_dpc(&event.kind)).map(|e| (e.time_ns, e.processor)).collect()
    }

    /// Calls an export at `PASSIVE_LEVEL` that has to succeed.
    pub(crate) fn service(&mut self, name: &str, arguments: [u64; 2]) -> u64 {
        let routine = self.export(name);
        self.call(0, routine, arguments).expect("the call succeeds")
    }

    pub(crate) fn finish(&mut self, request: RequestId) -> Result<u64, Box<Stop>> {
        self.run(Until::Answered(request))?;
        Ok(self.machine.answer_of(request).expect("it was answered").information)
    }

    pub(crate) fn run(&mut self, until: Until) -> Result<(), Box<Stop>> {
        match self.machine.run(&mut self.engine, until) {
            RunEnd::Paused | RunEnd::Undecided => panic!("a choice that nobody asked for"),
            RunEnd::Stopped(stop) => Err(stop),
            RunEnd::Reached | RunEnd::Quiescent => Ok(()),
        }
    }

    /// Runs to the end of a request or to a time and answers each choice: what was asked.
    pub(crate) fn choosing(&mut self, until: Until, mut pick: impl FnMut(&[Deed]) -> Option<Deed>) -> Vec<Deed> {
        let mut asked = Vec::new();
        let first = self.machine.choices_made();
        self.machine.ask_from(Some(first));
        loop {
            match self.machine.run(&mut self.engine, until) {
                RunEnd::Undecided => {
                    let deeds = self.machine.choice().expect("it is undecided").deeds.clone();
                    self.machine.answer_choice(pick(&deeds));
                    asked.extend(deeds);
                }
                RunEnd::Reached | RunEnd::Quiescent => break,
                end => panic!("{end:?}"),
            }
        }
        self.machine.ask_from(None);
        asked
    }

    /// Lock count of the section that holds `address`.
    pub(crate) fn count(&self, address: Va) -> u32 {
        let paging = self.machine.memory.paging();
        paging.section_at(address).and_then(|section| paging.section(section)).expect("it is in a section").count
    }

    /// Lock counts of `.data` and of `PAGEX`.
    pub(crate) fn counts(&self) -> [u32; 2] {
        [self.data(), self.paged()].map(|address| self.count(address))
    }

    pub(crate) fn is_resident(&self, address: Va) -> bool {
        matches!(self.machine.memory.page_state(address), memory::PageState::Resident { .. })
    }

    /// The codes of what was found, in order.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        let found = |event: &kernel::Event| match &event.kind {
            EventKind::Found(finding) => Some(finding.kind.code()),
            _ => None,
        };
        self.machine.events.iter().filter_map(found).collect()
    }
}
