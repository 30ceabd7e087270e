//! Where RAM lies among the physical addresses. The number of a frame is that of its physical page.

use std::ops::Range;

/// Pages below 4 GiB where a PC has no RAM: what the display and the firmware have below 1 MiB, and devices from 3 GiB on.
const HOLES: [Range<u64>; 2] = [0xA0..0x100, 0xC_0000..0x10_0000];

/// The physical pages of so many frames, lowest first. There is no frame 0, so that physical address 0 is nothing.
pub(crate) fn ranges(frames: u32) -> impl Iterator<Item = Range<u64>> {
    let (mut start, mut left) = (1, u64::from(frames));
    let ends = HOLES.map(|hole| (hole.start, hole.end)).into_iter().chain([(u64::MAX, u64::MAX)]);
    ends.map_while(move |(end, next)| {
        let range = start..end.min(start + left);
        left -= range.end - range.start;
        start = next;
        (!range.is_empty()).then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_leaves_out_what_a_pc_has_for_firmware_and_devices() {
        let all = |frames| ranges(frames).collect::<Vec<_>>();
        assert_eq!(all(0x9F), vec![Range { start: 1, end: 0xA0 }]);
        assert_eq!(all(0xA0), [1..0xA0, 0x100..0x101]);
        assert_eq!(all(0xB_FF9F), [1..0xA0, 0x100..0xC_0000]);
        assert_eq!(all(0xB_FFA1), [1..0xA0, 0x100..0xC_0000, 0x10_0000..0x10_0002]);
        for frames in [1, 0x9F, 0xA0, 0x4000, 0x10_0000, 1 << 24] {
            assert_eq!(ranges(frames).map(|range| range.end - range.start).sum::<u64>(), u64::from(frames));
        }
    }
}
