//! Byte streams in memory, for tests and measurements: the same stages, no system calls.

use super::socket::{ByteStream, StreamError};
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a [`MemoryStream`] and its [`MemoryControl`] share. Counts never start again.
#[derive(Debug, Default)]
struct MemoryState {
    released: AtomicUsize,
    read: AtomicUsize,
    written: AtomicUsize,
    is_closed: AtomicBool,
}

/// A stream in memory for measurements: delivers preloaded bytes, round and round, as far as its [`MemoryControl`]
/// released them; counts and discards what is written. Never allocates after construction.
#[derive(Debug)]
pub struct MemoryStream {
    incoming: Arc<[u8]>,
    position: usize,
    read: usize,
    written: usize,
    state: Arc<MemoryState>,
}

/// The harness's end of a [`MemoryStream`].
#[derive(Clone, Debug)]
pub struct MemoryControl {
    incoming: Arc<[u8]>,
    state: Arc<MemoryState>,
}

impl MemoryStream {
    /// A stream of `incoming`, of which nothing is released yet.
    #[must_use]
    pub fn new(incoming: Vec<u8>) -> (Self, MemoryControl) {
        let state = Arc::new(MemoryState::default());
        let incoming: Arc<[u8]> = incoming.into();
        let control = MemoryControl { incoming: Arc::clone(&incoming), state: Arc::clone(&state) };
        (Self { incoming, position: 0, read: 0, written: 0, state }, control)
    }
}

impl MemoryControl {
    /// Lets the reader have `count` more bytes; past the end of the incoming bytes they begin again.
    pub fn release(&self, count: usize) {
        self.state.released.fetch_add(count, Ordering::Release);
    }

    /// Brings the next `count` bytes into the cache, where bytes are that the system has just copied out of a packet. To
    /// be called before they are due.
    pub fn warm(&self, count: usize) {
        let start = self.state.released.load(Ordering::Relaxed).checked_rem(self.incoming.len()).unwrap_or(0);
        let touched = self.incoming.iter().skip(start).take(count).step_by(32);
        std::hint::black_box(touched.fold(0u8, |sum, &byte| sum.wrapping_add(byte)));
    }

    /// How many bytes were read in all.
    #[must_use]
    pub fn read_count(&self) -> usize {
        self.state.read.load(Ordering::Acquire)
    }

    /// How many bytes were written in all.
    #[must_use]
    pub fn written_count(&self) -> usize {
        self.state.written.load(Ordering::Acquire)
    }

    /// Ends the stream: reads answer [`StreamError::Closed`] once what was released is read, writes at once.
    pub fn close(&self) {
        self.state.is_closed.store(true, Ordering::Release);
    }
}

impl ByteStream for MemoryStream {
    #[inline]
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        // Closed is looked at first: what was released before the close is then seen too.
        let is_closed = self.state.is_closed.load(Ordering::Acquire);
        let ready = self.state.released.load(Ordering::Acquire).saturating_sub(self.read);
        let incoming = self.incoming.get(self.position..).unwrap_or_default();
        let count = ready.min(incoming.len()).min(buffer.len());
        if count == 0 && is_closed {
            return Err(StreamError::Closed);
        }
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), incoming.get(..count)) {
            to.copy_from_slice(from);
        }
        self.position = if count == incoming.len() { 0 } else { self.position.saturating_add(count) };
        self.read = self.read.wrapping_add(count);
        self.state.read.store(self.read, Ordering::Release);
        Ok(count)
    }

    #[inline]
    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        if self.state.is_closed.load(Ordering::Acquire) {
            return Err(StreamError::Closed);
        }
        self.written = self.written.wrapping_add(bytes.len());
        self.state.written.store(self.written, Ordering::Release);
        Ok(bytes.len())
    }
}

/// Bytes that one end of a pipe hands to the other at once.
#[derive(Clone, Copy)]
struct Chunk {
    bytes: [u8; Self::BYTES_MAX],
    length: u8,
}

impl Chunk {
    const BYTES_MAX: usize = 247;
}

/// One end of a bounded two-way pipe in memory, for tests: what this end writes, the other reads, and a dropped end is
/// a closed stream. Never allocates after construction.
pub struct MemoryPipe {
    incoming: Arc<ArrayQueue<Chunk>>,
    outgoing: Arc<ArrayQueue<Chunk>>,
    /// What of the chunk taken last is not read yet.
    rest: Chunk,
    rest_start: u8,
}

impl MemoryPipe {
    /// Both ends of a pipe that holds `chunks_max` writes of up to 247 bytes in each direction.
    #[must_use]
    pub fn pair(chunks_max: usize) -> (Self, Self) {
        let (one, other) = (Arc::new(ArrayQueue::new(chunks_max.max(1))), Arc::new(ArrayQueue::new(chunks_max.max(1))));
        let rest = Chunk { bytes: [0; Chunk::BYTES_MAX], length: 0 };
        let left = Self { incoming: Arc::clone(&one), outgoing: Arc::clone(&other), rest, rest_start: 0 };
        (left, Self { incoming: other, outgoing: one, rest, rest_start: 0 })
    }
}

impl ByteStream for MemoryPipe {
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        let mut count = 0usize;
        loop {
            let rest =
                self.rest.bytes.get(usize::from(self.rest_start)..usize::from(self.rest.length)).unwrap_or_default();
            let space = buffer.get_mut(count..).unwrap_or_default();
            let copied = u8::try_from(rest.len().min(space.len())).unwrap_or(0);
            for (to, from) in space.iter_mut().zip(rest) {
                *to = *from;
            }
            self.rest_start = self.rest_start.saturating_add(copied);
            count = count.saturating_add(usize::from(copied));
            if count == buffer.len() {
                return Ok(count);
            }
            // Looked at before the queue: an end that wrote and was dropped since is then read to its end.
            let is_closed = Arc::strong_count(&self.incoming) == 1;
            match self.incoming.pop() {
                Some(chunk) => (self.rest, self.rest_start) = (chunk, 0),
                None if count == 0 && is_closed => return Err(StreamError::Closed),
                None => return Ok(count),
            }
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        if Arc::strong_count(&self.outgoing) == 1 {
            return Err(StreamError::Closed);
        }
        let mut count = 0usize;
        for part in bytes.chunks(Chunk::BYTES_MAX) {
            let mut chunk = Chunk { bytes: [0; Chunk::BYTES_MAX], length: u8::try_from(part.len()).unwrap_or(0) };
            for (to, from) in chunk.bytes.iter_mut().zip(part) {
                *to = *from;
            }
            if self.outgoing.push(chunk).is_err() {
                break;
            }
            count = count.saturating_add(part.len());
        }
        Ok(count)
    }
}

impl std::fmt::Debug for MemoryPipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryPipe({} writes in, {} out)", self.incoming.len(), self.outgoing.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_streams_deliver_what_is_released_and_end() {
        let (mut stream, control) = MemoryStream::new(b"abcdef".to_vec());
        let mut buffer = [0; 4];
        assert_eq!(stream.try_read(&mut buffer), Ok(0));
        control.release(5);
        assert_eq!((stream.try_read(&mut buffer), &buffer), (Ok(4), b"abcd"));
        assert_eq!((stream.try_read(&mut buffer), buffer[0]), (Ok(1), b'e'));
        control.release(3);
        // Round again.
        assert_eq!((stream.try_read(&mut buffer), buffer[0]), (Ok(1), b'f'));
        assert_eq!((stream.try_read(&mut buffer), &buffer[..2]), (Ok(2), b"ab".as_slice()));
        assert_eq!((stream.try_write(b"xyz"), control.written_count(), control.read_count()), (Ok(3), 3, 8));
        control.release(1);
        control.close();
        assert_eq!((stream.try_read(&mut buffer), stream.try_read(&mut buffer)), (Ok(1), Err(StreamError::Closed)));
        assert_eq!(stream.try_write(b"x"), Err(StreamError::Closed));
    }

    proptest! {
        #[test]
        fn pipes_deliver_everything_in_order(writes in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..900), 0..20), chunk in 1..700usize) {
            let (mut near, mut far) = MemoryPipe::pair(3);
            let sent = writes.concat();
            let (mut received, mut pending) = (Vec::new(), sent.as_slice());
            while received.len() < sent.len() {
                let written = near.try_write(pending).expect("open");
                pending = &pending[written..];
                let mut buffer = vec![0; chunk];
                let read = far.try_read(&mut buffer).expect("open");
                received.extend_from_slice(&buffer[..read]);
            }
            prop_assert_eq!(received, sent);
            assert_eq!(near.try_write(b"last"), Ok(4));
            drop(near);
            let mut buffer = [0; 8];
            prop_assert_eq!((far.try_read(&mut buffer), far.try_read(&mut buffer)), (Ok(4), Err(StreamError::Closed)));
            prop_assert_eq!(far.try_write(b"x"), Err(StreamError::Closed));
        }
    }
}
