//! What happens to a driver of the table between its load and its unload.

use kernel::{Action, Stop};
use nt_types::Va;

use crate::sample::{IOCTL, Lab, sample_path};

/// A step of such a life.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Open,
    /// Control code 0x222000 with this input.
    Ioctl(u32),
    /// An interrupt that no device asked for, on whatever line the driver has connected.
    Interrupt,
    /// A read that nobody waits for.
    StartRead,
    Close,
    Unload,
    PassMs(u64),
}

use Act::{Close, Interrupt, Ioctl, Open, PassMs, StartRead, Unload};

/// How to reach what a driver shows: the `trigger` of its file.
pub(super) fn life(name: &str) -> &'static [Act] {
    match name {
        "x06-init-kept-in-dispatch" => &[Open, StartRead, Close, Unload],
        "x16-page-while-connected" | "x16-own-lock" => &[Open, Ioctl(0), Interrupt, Close, Unload],
        "x16-connect-before-reset" => &[Open, Interrupt, Ioctl(0), Close, Unload],
        "x19-isr-pageable" | "x19-isr-unlocked" => &[Open, Interrupt, Ioctl(0), Interrupt, Close, Unload],
        "x20-unlock-with-pended-irp" => &[Open, StartRead, Close, PassMs(20), Unload],
        "x21-unload-with-work-item" => &[Open, Close, Unload],
        "x28-dpc-pageable" | "c8-isr-raised" => &[Open, Interrupt, Close, Unload],
        _ => &[Open, Ioctl(0), Close, Unload],
    }
}

/// The images of a driver: with sections on pages, and packed at 128 bytes where it is built so, too.
pub(super) fn alignments(driver: &str) -> impl Iterator<Item = String> {
    let packed = format!("{driver}-a80");
    let exists = sample_path(&format!("broken/{packed}")).exists();
    [driver.to_owned()].into_iter().chain(exists.then_some(packed))
}

/// Loads the driver and leads its life. A driver that refuses to start has none.
pub(super) fn lead(lab: &mut Lab, driver: &str, life: &[Act]) -> Result<(), Box<Stop>> {
    let base = lab.load(&format!("broken/{driver}"))?;
    let mut file = Va::NULL;
    if lab.machine.modules().driver_at(base).is_none() {
        return Ok(());
    }
    for act in life {
        match *act {
            Open => file = lab.open(base)?,
            Ioctl(input) => drop(lab.ioctl(file, IOCTL, input)?),
            Interrupt => lab.interrupt()?,
            StartRead => {
                lab.start(Action::Read { file, length: 1, offset: 0 });
                lab.pass_ms(1)?;
            }
            Close => lab.close(file)?,
            Unload => lab.unload(base)?,
            PassMs(time_ms) => lab.pass_ms(time_ms)?,
        }
    }
    Ok(())
}
