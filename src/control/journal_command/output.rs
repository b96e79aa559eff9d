//! Lines on standard output.

use std::io::{BufWriter, ErrorKind, StdoutLock, Write};

/// Standard output, line by line. Whoever reads it may go away: then the command is over, and nothing is wrong.
pub(super) struct Output {
    out: BufWriter<StdoutLock<'static>>,
    /// Whether nobody reads any more.
    pub(super) is_over: bool,
}

impl Output {
    /// Takes standard output.
    pub(super) fn new() -> Self {
        Self { out: BufWriter::new(std::io::stdout().lock()), is_over: false }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// Where the system refuses, in words.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Vec<String>> {
        let written = writeln!(self.out, "{line}");
        self.judge(written)
    }

    /// Has everything out.
    ///
    /// # Errors
    /// Where the system refuses, in words.
    pub(super) fn flush(&mut self) -> Result<(), Vec<String>> {
        let flushed = self.out.flush();
        self.judge(flushed)
    }

    fn judge(&mut self, done: std::io::Result<()>) -> Result<(), Vec<String>> {
        match done {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_over = true;
                Ok(())
            }
            done => done.map_err(|error| vec![format!("standard output: {error}")]),
        }
    }
}

/// A count with its digits in groups: `1,234,567`.
pub(super) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The first bytes of a hash, in hexadecimal digits: enough to tell two apart.
pub(super) fn short_hex(bytes: &[u8]) -> String {
    bytes.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_hashes_are_written_for_people() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(count), text);
        }
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(short_hex(&[0xab; 32]), "abababababab");
    }
}
