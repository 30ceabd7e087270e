//! Pieces of evidence that several areas share.

use core::fmt;

/// How memory was accessed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A data read.
    Read,
    /// A data write.
    Write,
    /// An instruction fetch.
    Execute,
}

impl Access {
    /// "read", "written" or "executed".
    pub fn participle(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "written",
            Access::Execute => "executed",
        }
    }

    /// "data read", "data write" or "instruction fetch".
    pub fn noun(self) -> &'static str {
        match self {
            Access::Read => "data read",
            Access::Write => "data write",
            Access::Execute => "instruction fetch",
        }
    }
}

/// A pool tag, as the four bytes the driver passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tag(pub [u8; 4]);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| byte.escape_ascii().try_for_each(|c| write!(f, "{}", char::from(c))))
    }
}

/// Where an object lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Home {
    /// In a section of an image.
    Section {
        /// The image.
        image: String,
        /// The section.
        section: String,
    },
    /// In paged pool.
    PagedPool(Tag),
    /// In nonpaged pool.
    NonpagedPool(Tag),
    /// On a kernel stack.
    Stack,
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Home::Section { section, .. } => write!(f, "section `{section}`"),
            Home::PagedPool(tag) => write!(f, "paged pool with tag `{tag}`"),
            Home::NonpagedPool(tag) => write!(f, "nonpaged pool with tag `{tag}`"),
            Home::Stack => f.write_str("a kernel stack"),
        }
    }
}

macro_rules! object_kinds {
    ($($variant:ident $name:literal,)*) => {
        /// Kinds of kernel objects.
        #[expect(missing_docs, reason = "the names are those of the documentation")]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum ObjectKind { $($variant,)* }

        impl fmt::Display for ObjectKind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(ObjectKind::$variant => $name,)* })
            }
        }
    };
}

object_kinds! {
    Timer "timer",
    Dpc "DPC",
    Event "event",
    Mutex "mutex",
    FastMutex "fast mutex",
    Semaphore "semaphore",
    SpinLock "spin lock",
    Resource "ERESOURCE",
    RemoveLock "remove lock",
    WorkItem "work item",
    Irp "request",
    Apc "APC",
    Interrupt "interrupt",
    Thread "thread",
}

/// A number of requests and, where they are all alike, their kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Requests {
    /// How many.
    pub count: u32,
    /// Their kind, where they share one.
    pub kind: Option<RequestKind>,
}

macro_rules! request_kinds {
    ($($variant:ident $name:literal,)*) => {
        /// Major functions as words.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[expect(missing_docs, reason = "the names are those of the major functions")]
        pub enum RequestKind { $($variant,)* }

        impl RequestKind {
            /// All of them, by number.
            const ALL: &[RequestKind] = &[$(RequestKind::$variant,)*];

            /// The IRP_MJ_ constant.
            pub fn major(self) -> &'static str {
                match self { $(RequestKind::$variant => $name,)* }
            }
        }
    };
}

request_kinds! {
    Create "IRP_MJ_CREATE",
    CreateNamedPipe "IRP_MJ_CREATE_NAMED_PIPE",
    Close "IRP_MJ_CLOSE",
    Read "IRP_MJ_READ",
    Write "IRP_MJ_WRITE",
    QueryInformation "IRP_MJ_QUERY_INFORMATION",
    SetInformation "IRP_MJ_SET_INFORMATION",
    QueryEa "IRP_MJ_QUERY_EA",
    SetEa "IRP_MJ_SET_EA",
    FlushBuffers "IRP_MJ_FLUSH_BUFFERS",
    QueryVolumeInformation "IRP_MJ_QUERY_VOLUME_INFORMATION",
    SetVolumeInformation "IRP_MJ_SET_VOLUME_INFORMATION",
    DirectoryControl "IRP_MJ_DIRECTORY_CONTROL",
    FileSystemControl "IRP_MJ_FILE_SYSTEM_CONTROL",
    DeviceControl "IRP_MJ_DEVICE_CONTROL",
    InternalDeviceControl "IRP_MJ_INTERNAL_DEVICE_CONTROL",
    Shutdown "IRP_MJ_SHUTDOWN",
    LockControl "IRP_MJ_LOCK_CONTROL",
    Cleanup "IRP_MJ_CLEANUP",
    CreateMailslot "IRP_MJ_CREATE_MAILSLOT",
    QuerySecurity "IRP_MJ_QUERY_SECURITY",
    SetSecurity "IRP_MJ_SET_SECURITY",
    Power "IRP_MJ_POWER",
    SystemControl "IRP_MJ_SYSTEM_CONTROL",
    DeviceChange "IRP_MJ_DEVICE_CHANGE",
    QueryQuota "IRP_MJ_QUERY_QUOTA",
    SetQuota "IRP_MJ_SET_QUOTA",
    Pnp "IRP_MJ_PNP",
}

impl RequestKind {
    /// The kind with this number; `None` beyond IRP_MJ_MAXIMUM_FUNCTION.
    pub fn from_major(major: u8) -> Option<RequestKind> {
        RequestKind::ALL.get(usize::from(major)).copied()
    }

    fn noun(self) -> &'static str {
        match self {
            RequestKind::Read => "read",
            RequestKind::Write => "write",
            RequestKind::DeviceControl | RequestKind::InternalDeviceControl => "device control request",
            _ => "request",
        }
    }
}

impl fmt::Display for Requests {
    /// `1 read`, `3 requests`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = self.kind.map_or("request", RequestKind::noun);
        f.write_str(&crate::plural(u64::from(self.count), noun))
    }
}

/// A call site that took something and has not given it back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Where it was taken.
    pub at: crate::Place,
    /// When.
    pub step: crate::Step,
}
