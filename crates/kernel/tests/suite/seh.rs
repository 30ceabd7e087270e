//! Structured exception handling, as compiled C does it: `drivers/seh/seh.c` says what each case is about.

use crate::common::Guest;

/// The marks that each case leaves, from case 1 on.
const EXPECTED: [u32; 19] = [
    0x123, 0x12345, 0x15, 0x1234, 0x1234, 0x1234, 0x1234, 0x1234, 0x12345, 0x11_2345, 0x131_2222, 0x123, 0x1, 0x1234,
    0x1213, 0x12, 0x1123, 0x1, 0x12345,
];
const RUN: u32 = 0x22_2000;

#[test]
fn c_code_handles_exceptions_as_documented() {
    let mut guest = Guest::load_sample("seh/seh");
    guest.initialize().expect("DriverEntry succeeds");
    let file = guest.open("\\Device\\Seh");
    for (case, expected) in (1_u32..).zip(EXPECTED) {
        let answer = guest.ioctl(file, RUN, &case.to_le_bytes(), 4).unwrap_or_else(|stop| {
            panic!("case {case}: {:#x?}, stack {:?}", stop.kind, guest.names(&stop.place.stack))
        });
        let marks = u32::from_le_bytes(answer.output[..].try_into().expect("the case answers"));
        assert_eq!(marks, expected, "case {case}: {marks:#x}, not {expected:#x}");
    }
    let all = guest.ioctl(file, RUN, &0_u32.to_le_bytes(), 4).expect("every case runs");
    assert_eq!(all.output, [0; 4]);
}
