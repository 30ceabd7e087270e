// Structured exception handling as drivers use it: __try, __except, __finally, filters, and exceptions inside of them.
//
//   ioctl 0x222000  RUN: input: the number of a case, 1 to 19; output: the marks that it left, last one in the low digit.
//                   Input 0 runs every case; output: the number of the first whose marks are not as expected, or 0.
//
// Each case leaves a digit at each place that execution must come to, so that its marks are the order of events.
#include "sample.h"

// These headers have an instruction in its place.
#undef DbgBreakPoint
NTSYSAPI VOID NTAPI DbgBreakPoint(VOID);

#define IOCTL_SEH_RUN SAMPLE_IOCTL(0)

// Nothing is ever mapped there, and it is an address of user mode: an access violation, which may be handled.
#define BAD_ADDRESS ((volatile ULONG *)0x10)

// In ntifs.h of the WDK; these headers leave it out.
#define EXCEPTION_NESTED_CALL 0x10

typedef VOID SEH_CASE(VOID);
typedef VOID SEH_PROBE(PVOID Address, SIZE_T Length, ULONG Alignment);

static ULONG SehMarks;
static PDEVICE_OBJECT SehDevice;

static VOID SehMark(ULONG Digit)
{
    SehMarks = SehMarks << 4 | Digit;
}

// A filter that says where it was called, and what it decided.
static LONG SehFilter(ULONG Digit, LONG Decision)
{
    SehMark(Digit);
    return Decision;
}

// Leaves without unwind information: an exception in one leads straight to its caller.
#define SEH_LEAF(name, instructions) \
    __asm__(".text\n.globl " #name "\n" #name ":\n" instructions "ret\n")

// Divides 10 by its argument.
ULONG SehDivide(ULONG Divisor);
SEH_LEAF(SehDivide, "movl $10, %eax\nxorl %edx, %edx\ndivl %ecx\n");

typedef VOID SEH_TRAP(VOID);
SEH_TRAP SehBreakpoint, SehAssertion, SehUndefined;
SEH_LEAF(SehBreakpoint, "int3\n");
SEH_LEAF(SehAssertion, "int $0x2c\n");
SEH_LEAF(SehUndefined, "ud2\n");

// 1: a write to a bad address is handled; the block knows the code.
static VOID SehHandled(VOID)
{
    __try {
        SehMark(1);
        *BAD_ADDRESS = 1;
        SehMark(0xF);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        SehMark(GetExceptionCode() == (ULONG)STATUS_ACCESS_VIOLATION ? 2 : 0xE);
    }
    SehMark(3);
}

static LONG SehLookAtWrite(PEXCEPTION_POINTERS Pointers)
{
    PEXCEPTION_RECORD record = Pointers->ExceptionRecord;
    SehMark(record->ExceptionCode == STATUS_ACCESS_VIOLATION && record->ExceptionFlags == 0 ? 1 : 0xE);
    SehMark(record->NumberParameters == 2 && record->ExceptionInformation[0] == 1 ? 2 : 0xE);
    SehMark(record->ExceptionInformation[1] == (ULONG_PTR)BAD_ADDRESS ? 3 : 0xE);
    SehMark((ULONG64)record->ExceptionAddress == Pointers->ContextRecord->Rip ? 4 : 0xE);
    return EXCEPTION_EXECUTE_HANDLER;
}

// 2: what a filter is shown.
static VOID SehRecord(VOID)
{
    __try {
        *BAD_ADDRESS = 1;
    } __except (SehLookAtWrite(GetExceptionInformation())) {
        SehMark(5);
    }
}

static LONG SehRepair(PEXCEPTION_POINTERS Pointers)
{
    SehMark(Pointers->ExceptionRecord->ExceptionCode == STATUS_INTEGER_DIVIDE_BY_ZERO ? 1 : 0xE);
    Pointers->ContextRecord->Rcx = 2;
    return EXCEPTION_CONTINUE_EXECUTION;
}

// 3: a filter repairs a register, and the instruction is done again.
static VOID SehContinue(VOID)
{
    __try {
        SehMark(SehDivide(0));
    } __except (SehRepair(GetExceptionInformation())) {
        SehMark(0xF);
    }
}

// 4: a __finally block runs on each way out, and knows which it was.
static VOID SehFinally(VOID)
{
    __try {
        SehMark(1);
    } __finally {
        SehMark(AbnormalTermination() ? 0xE : 2);
    }
    __try {
        __try {
            *BAD_ADDRESS = 1;
        } __finally {
            SehMark(AbnormalTermination() ? 3 : 0xE);
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        SehMark(4);
    }
}

// 5: first all filters are asked, innermost first; then the __finally blocks run; then the block that was chosen.
static VOID SehTwoPhases(VOID)
{
    __try {
        __try {
            __try {
                *BAD_ADDRESS = 1;
            } __finally {
                SehMark(3);
            }
        } __except (SehFilter(1, EXCEPTION_CONTINUE_SEARCH)) {
            SehMark(0xF);
        }
    } __except (SehFilter(2, EXCEPTION_EXECUTE_HANDLER)) {
        SehMark(4);
    }
}

static VOID SehRaiseTwoDown(ULONG Depth)
{
    __try {
        if (Depth == 0) {
            ExRaiseStatus(STATUS_QUOTA_EXCEEDED);
        }
        SehRaiseTwoDown(Depth - 1);
        SehMark(0xF);
    } __finally {
        SehMark(Depth + 1);
    }
}

// 6: ExRaiseStatus in a callee of a callee; each function is left in turn, and the locals of the handler's are intact.
static VOID SehUnwindsCallees(VOID)
{
    ULONG first = SehMarks + 5;
    ULONG second = SehMarks * 3 + 6;
    __try {
        SehRaiseTwoDown(2);
    } __except (GetExceptionCode() == (ULONG)STATUS_QUOTA_EXCEEDED) {
        SehMark(first == 5 && second == 6 ? 4 : 0xE);
    }
}

static LONG SehFaultyFilter(PEXCEPTION_POINTERS Pointers)
{
    SehMark(Pointers->ExceptionRecord->ExceptionCode == STATUS_ACCESS_VIOLATION ? 1 : 2);
    if (Pointers->ExceptionRecord->ExceptionCode == STATUS_ACCESS_VIOLATION) {
        return SehDivide(0);
    }
    SehMark(Pointers->ExceptionRecord->ExceptionFlags & EXCEPTION_NESTED_CALL ? 3 : 0xE);
    return EXCEPTION_EXECUTE_HANDLER;
}

// 7: an exception inside a filter is nested: the same filter is asked about it.
static VOID SehNested(VOID)
{
    __try {
        *BAD_ADDRESS = 1;
    } __except (SehFaultyFilter(GetExceptionInformation())) {
        SehMark(GetExceptionCode() == (ULONG)STATUS_INTEGER_DIVIDE_BY_ZERO ? 4 : 0xE);
    }
}

// 8: an exception inside a __finally block collides with the unwind that runs it. The block does not run twice.
static VOID SehCollided(VOID)
{
    __try {
        __try {
            *BAD_ADDRESS = 1;
        } __finally {
            SehMark(2);
            SehDivide(0);
            SehMark(0xF);
        }
    } __except (SehFilter(GetExceptionCode() == (ULONG)STATUS_ACCESS_VIOLATION ? 1 : 3, EXCEPTION_EXECUTE_HANDLER)) {
        SehMark(GetExceptionCode() == (ULONG)STATUS_INTEGER_DIVIDE_BY_ZERO ? 4 : 0xE);
    }
}

static VOID SehCollideInCallee(VOID)
{
    __try {
        __try {
            *BAD_ADDRESS = 1;
        } __finally {
            SehMark(2);
            SehDivide(0);
        }
    } __finally {
        SehMark(4);
    }
}

// 9: the same with the blocks in a callee: those further out still run, once.
static VOID SehCollidedCallee(VOID)
{
    __try {
        SehCollideInCallee();
    } __except (SehFilter(GetExceptionCode() == (ULONG)STATUS_ACCESS_VIOLATION ? 1 : 3, EXCEPTION_EXECUTE_HANDLER)) {
        SehMark(5);
    }
}

// 10: an exception that is handled inside a __finally block does not disturb the unwind that runs it.
static VOID SehHandledInFinally(VOID)
{
    __try {
        __try {
            *BAD_ADDRESS = 1;
        } __finally {
            SehMark(1);
            SehHandled();
            SehMark(4);
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        SehMark(GetExceptionCode() == (ULONG)STATUS_ACCESS_VIOLATION ? 5 : 0xE);
    }
}

static VOID SehProbe(SEH_PROBE *Probe, PVOID Address, SIZE_T Length, ULONG Alignment)
{
    __try {
        Probe(Address, Length, Alignment);
        SehMark(1);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        SehMark(GetExceptionCode() == (ULONG)STATUS_ACCESS_VIOLATION ? 2
                : GetExceptionCode() == (ULONG)STATUS_DATATYPE_MISALIGNMENT ? 3 : 0xE);
    }
}

static VOID SehProbeForRead(PVOID Address, SIZE_T Length, ULONG Alignment)
{
    ProbeForRead(Address, Length, Alignment);
}

static VOID SehProbeForWrite(PVOID Address, SIZE_T Length, ULONG Alignment)
{
    ProbeForWrite(Address, Length, Alignment);
}

// 11: what ProbeForRead and ProbeForWrite raise (ddi: ProbeForRead, ProbeForWrite).
static VOID SehProbes(VOID)
{
    SehProbe(SehProbeForRead, (PVOID)0x11, 0, 4);                // nothing to look at
    SehProbe(SehProbeForRead, (PVOID)0x11, 1, 4);                // misaligned
    SehProbe(SehProbeForRead, (PVOID)0x10, 16, 4);               // in user space; nothing is touched
    SehProbe(SehProbeForRead, &SehMarks, sizeof(SehMarks), 4);   // not in user space
    SehProbe(SehProbeForRead, (PVOID)0x10, ~(SIZE_T)0, 4);       // wraps
    SehProbe(SehProbeForRead, (PVOID)(MM_USER_PROBE_ADDRESS - 4), 8, 4);
    SehProbe(SehProbeForWrite, (PVOID)0x10, 16, 4);              // touched, and nothing is there
}

static NTSTATUS SehRaiseInDispatch(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    UNREFERENCED_PARAMETER(Irp);
    SehMark(1);
    ExRaiseStatus(STATUS_QUOTA_EXCEEDED);
}

// 12: an exception passes through IofCallDriver, which guards nothing.
static VOID SehThroughKernel(VOID)
{
    PIRP irp = IoAllocateIrp(SehDevice->StackSize, FALSE);
    if (irp == NULL) {
        SehMark(0xF);
        return;
    }
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_FLUSH_BUFFERS;
    __try {
        IoCallDriver(SehDevice, irp);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        SehMark(2);
    }
    IoFreeIrp(irp);
    SehMark(3);
}

// 13: the kernel touches a bad address on behalf of the driver: the driver may handle that too.
static VOID SehKernelFaults(VOID)
{
    UNICODE_STRING name;
    __try {
        RtlInitUnicodeString(&name, (PCWSTR)BAD_ADDRESS);
        SehMark(0xF);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        SehMark(GetExceptionCode() == (ULONG)STATUS_ACCESS_VIOLATION ? 1 : 0xE);
    }
}

static VOID SehTrap(SEH_TRAP *Trap, NTSTATUS Code, ULONG Digit)
{
    __try {
        Trap();
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        SehMark(GetExceptionCode() == (ULONG)Code ? Digit : 0xE);
    }
}

// 14: breakpoints, assertions and undefined instructions are exceptions.
static VOID SehTraps(VOID)
{
    SehTrap(SehBreakpoint, STATUS_BREAKPOINT, 1);
    SehTrap(SehAssertion, STATUS_ASSERTION_FAILURE, 2);
    SehTrap(SehUndefined, STATUS_ILLEGAL_INSTRUCTION, 3);
    SehTrap(DbgBreakPoint, STATUS_BREAKPOINT, 4);
}

static LONG SehStepOver(PEXCEPTION_POINTERS Pointers)
{
    SehMark(1);
    Pointers->ContextRecord->Rip++;
    return EXCEPTION_CONTINUE_EXECUTION;
}

// 15: a filter steps over a breakpoint, in the driver and in the kernel.
static VOID SehStepsOver(VOID)
{
    __try {
        SehBreakpoint();
        SehMark(2);
        DbgBreakPoint();
        SehMark(3);
    } __except (SehStepOver(GetExceptionInformation())) {
        SehMark(0xF);
    }
}

// 16: an exception at DISPATCH_LEVEL is handled there; handling does not change the IRQL.
static VOID SehAtDispatch(VOID)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    __try {
        SehDivide(0);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        SehMark(KeGetCurrentIrql() == DISPATCH_LEVEL ? 1 : 0xE);
    }
    KeLowerIrql(old);
    SehMark(2);
}

// 17: ExRaiseStatus cannot be continued: that raises another exception, which names the first.
static LONG SehInsist(PEXCEPTION_POINTERS Pointers)
{
    PEXCEPTION_RECORD record = Pointers->ExceptionRecord;
    SehMark(record->ExceptionFlags & EXCEPTION_NONCONTINUABLE ? 1 : 0xE);
    if (record->ExceptionCode == STATUS_QUOTA_EXCEEDED) {
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    SehMark(record->ExceptionRecord->ExceptionCode == STATUS_QUOTA_EXCEEDED ? 2 : 0xE);
    return EXCEPTION_EXECUTE_HANDLER;
}

static VOID SehNoncontinuable(VOID)
{
    __try {
        ExRaiseStatus(STATUS_QUOTA_EXCEEDED);
    } __except (SehInsist(GetExceptionInformation())) {
        SehMark(GetExceptionCode() == (ULONG)STATUS_NONCONTINUABLE_EXCEPTION ? 3 : 0xE);
    }
}

// 18: a call to nowhere is an exception at the address called; the caller handles it.
static VOID SehCallsNowhere(VOID)
{
    VOID (*volatile nowhere)(VOID) = NULL;
    __try {
        nowhere();
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        SehMark(GetExceptionCode() == (ULONG)STATUS_ACCESS_VIOLATION ? 1 : 0xE);
    }
}

// 19: a second exception does not ask the filters of scopes that the first one has left.
static VOID SehCollidedSearch(VOID)
{
    __try {
        __try {
            __try {
                *BAD_ADDRESS = 1;
            } __except (SehFilter(1, EXCEPTION_CONTINUE_SEARCH)) {
                SehMark(0xF);
            }
        } __finally {
            SehMark(3);
            SehDivide(0);
        }
    } __except (SehFilter(GetExceptionCode() == (ULONG)STATUS_ACCESS_VIOLATION ? 2 : 4, EXCEPTION_EXECUTE_HANDLER)) {
        SehMark(5);
    }
}

static const struct {
    SEH_CASE *Run;
    ULONG Marks;
} SehCases[] = {
    {SehHandled, 0x123},
    {SehRecord, 0x12345},
    {SehContinue, 0x15},
    {SehFinally, 0x1234},
    {SehTwoPhases, 0x1234},
    {SehUnwindsCallees, 0x1234},
    {SehNested, 0x1234},
    {SehCollided, 0x1234},
    {SehCollidedCallee, 0x12345},
    {SehHandledInFinally, 0x112345},
    {SehProbes, 0x1312222},
    {SehThroughKernel, 0x123},
    {SehKernelFaults, 0x1},
    {SehTraps, 0x1234},
    {SehStepsOver, 0x1213},
    {SehAtDispatch, 0x12},
    {SehNoncontinuable, 0x1123},
    {SehCallsNowhere, 0x1},
    {SehCollidedSearch, 0x12345},
};

static ULONG SehRun(ULONG Case)
{
    SehMarks = 0;
    SehCases[Case - 1].Run();
    return SehMarks;
}

static ULONG SehRunAll(VOID)
{
#pragma nounroll
    for (ULONG i = 1; i <= RTL_NUMBER_OF(SehCases); i++) {
        if (SehRun(i) != SehCases[i - 1].Marks) {
            return i;
        }
    }
    return 0;
}

static NTSTATUS SehDeviceControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG number = SampleInput(Irp);
    UNREFERENCED_PARAMETER(Device);
    if (SampleControlCode(Irp) != IOCTL_SEH_RUN) {
        return SampleComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    if (number > RTL_NUMBER_OF(SehCases)) {
        return SampleComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    return SampleOutput(Irp, STATUS_SUCCESS, number == 0 ? SehRunAll() : SehRun(number));
}

DRIVER_INITIALIZE DriverEntry;
#pragma alloc_text(INIT, DriverEntry)

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;
    UNREFERENCED_PARAMETER(RegistryPath);

    status = SAMPLE_CREATE_DEVICE(Driver, L"Seh", 0, &SehDevice);
    if (NT_SUCCESS(status)) {
        Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = SehDeviceControl;
        Driver->MajorFunction[IRP_MJ_FLUSH_BUFFERS] = SehRaiseInDispatch;
    }
    return status;
}
