//! Why a subcommand ends without having done its work.

use std::io;
use std::process::ExitCode;

/// Exit status of a usage error or a fault.
pub(crate) const FAULT: u8 = 2;

/// The end of a subcommand that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// One line for the user, and the exit status.
    #[error("{text}")]
    Said {
        /// Exit status.
        status: u8,
        /// What is wrong and what to do, one line.
        text: String,
    },
    /// Nobody reads our output any more: no fault of anyone's.
    #[error("the output was closed")]
    ClosedPipe,
}

impl Fault {
    /// A usage error or fault: exit status 2.
    pub fn new(text: impl Into<String>) -> Fault {
        Fault::with_status(FAULT, text)
    }

    /// With an exit status of its own.
    pub fn with_status(status: u8, text: impl Into<String>) -> Fault {
        Fault::Said { status, text: text.into() }
    }

    /// Prints the line on stderr; the exit status.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        match self {
            Fault::Said { status, text } => {
                eprintln!("rdbctl: {text}");
                ExitCode::from(*status)
            }
            Fault::ClosedPipe => ExitCode::SUCCESS,
        }
    }
}

/// From writing to our own output. Errors elsewhere get their own words.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Fault::ClosedPipe,
            _ => Fault::new(format!("cannot write the output: {error}")),
        }
    }
}
