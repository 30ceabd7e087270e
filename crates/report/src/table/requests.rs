//! What was asked of a driver, and what it answered.

use core::fmt::Write;

use nt_types::NtStatus;

use crate::event::Step;

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestMade {
    /// What was asked: a verb, and its object where there is one.
    pub name: String,
    /// The step at which it was issued.
    pub begun: Step,
    /// The answer; `None` where the run ended before there was one.
    pub answer: Option<RequestAnswer>,
}

/// The answer to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestAnswer {
    /// The step at which it came.
    pub step: Step,
    /// `IoStatus.Status`, or what the routine returned.
    pub status: NtStatus,
    /// `IoStatus.Information` of a transfer: the bytes.
    pub information: Option<u64>,
}

impl RequestMade {
    fn verb(&self) -> &str {
        self.name.split(' ').next().unwrap_or_default()
    }

    fn status(&self) -> String {
        self.answer.map_or_else(|| "no answer".to_owned(), |answer| answer.status.to_string())
    }

    /// Alike in a table: the same verb with the same status.
    fn is_like(&self, other: &RequestMade) -> bool {
        self.verb() == other.verb() && self.status() == other.status()
    }
}

/// A line a request; those that follow each other and are alike share one.
pub(super) fn table(requests: &[RequestMade]) -> String {
    let rows: Vec<(String, String)> =
        requests.chunk_by(RequestMade::is_like).map(|alike| (title(alike), alike[0].status())).collect();
    let Some(width) = rows.iter().map(|(title, _)| title.chars().count()).max() else { return String::new() };
    let width = width.max("request".len());
    let mut text = format!("{:<width$}  status\n", "request");
    for (title, status) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{title:<width$}  {status}");
    }
    text + "\n"
}

fn title(alike: &[RequestMade]) -> String {
    match alike {
        [one] => one.name.clone(),
        several => format!("{} ({} times)", several[0].verb(), several.len()),
    }
}

#[cfg(test)]
mod tests {
    use nt_types::NtStatus;

    use super::{RequestAnswer, RequestMade, table};

    fn request(name: &str, status: Option<NtStatus>) -> RequestMade {
        let answer = status.map(|status| RequestAnswer { step: 2, status, information: None });
        RequestMade { name: name.to_owned(), begun: 1, answer }
    }

    #[test]
    fn neighbours_that_are_alike_share_a_line() {
        let (yes, no) = (Some(NtStatus::SUCCESS), Some(NtStatus::INVALID_DEVICE_REQUEST));
        let requests = [
            request("open \\Device\\A", yes),
            request("ioctl 0x222000", no),
            request("ioctl 0x222004", no),
            request("ioctl 0x222008", yes),
            request("close", None),
        ];
        let expected = [
            "request          status",
            "open \\Device\\A   STATUS_SUCCESS",
            "ioctl (2 times)  STATUS_INVALID_DEVICE_REQUEST",
            "ioctl 0x222008   STATUS_SUCCESS",
            "close            no answer",
            "\n",
        ];
        assert_eq!(table(&requests), expected.join("\n"));
        assert_eq!(table(&[]), "");
    }
}
