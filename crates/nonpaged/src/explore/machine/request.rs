//! Requests of a test, and what they come to.

use std::marker::PhantomData;

use kernel::Answer;
use nt_types::NtStatus;

use crate::scenario::{Given, request_name};

/// What code that is being unwound gets, which can make no request any more.
pub(super) const GIVEN_UP: Answer = Answer { status: NtStatus::CANCELLED, information: 0, output: Vec::new() };

/// A request that was begun; waiting for it gives a `T`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Request<T> {
    /// The number of the call that began it.
    number: usize,
    gives: PhantomData<fn() -> T>,
}

/// What was opened, or was not.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Handle {
    /// The number of the call that opened it.
    number: usize,
    opening: Answer,
}

/// What waiting for a request gives: an [`Answer`], or the [`Handle`] of an open.
pub trait Awaited: Sized {
    /// What it is where the request cannot be made.
    #[doc(hidden)]
    const IMPOSSIBLE: NtStatus;

    #[doc(hidden)]
    fn of(number: usize, answer: Answer) -> Self;
}

impl Awaited for Answer {
    const IMPOSSIBLE: NtStatus = NtStatus::INVALID_HANDLE;

    fn of(_number: usize, answer: Answer) -> Answer {
        answer
    }
}

impl Awaited for Handle {
    const IMPOSSIBLE: NtStatus = NtStatus::OBJECT_NAME_NOT_FOUND;

    fn of(number: usize, opening: Answer) -> Handle {
        Handle { number, opening }
    }
}

impl<T> Request<T> {
    pub(super) fn new(number: usize) -> Request<T> {
        Request { number, gives: PhantomData }
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }
}

impl<T: Awaited> Request<T> {
    /// What it came to; `None` while it is outstanding.
    pub(super) fn awaited(&self, given: Given) -> Option<T> {
        let answer = match given {
            Given::Answer(answer) => answer?,
            Given::Impossible(_) => Answer { status: T::IMPOSSIBLE, information: 0, output: Vec::new() },
            _ => GIVEN_UP,
        };
        Some(T::of(self.number, answer))
    }
}

impl Handle {
    /// How it was opened. Requests on a handle that was not are answered by STATUS_INVALID_HANDLE.
    pub fn opening(&self) -> &Answer {
        &self.opening
    }

    /// Its name in an [`Action`](crate::scenario::Action).
    pub fn name(&self) -> String {
        request_name(self.number)
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }
}
