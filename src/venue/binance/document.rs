//! A JSON document as `simd-json` parses it, with what the decoders ask of it.
//!
//! The buffers and the tape are kept from frame to frame: they grow to the largest frame yet seen, then nothing
//! allocates any more.

use super::market::{DecodeError, FRAME_BYTES_MAX};
use simd_json::{Buffers, Node, StaticNode, Tape};

/// How deep a document may be nested. The venue's own are at most six deep.
const DEPTH_MAX: usize = 16;
/// The frame size that the buffers are made for at first.
const EXPECTED_BYTES: usize = 64 << 10;

/// The parser's memory.
pub(super) struct Document {
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Document {
    pub(super) fn new() -> Self {
        let tape = Tape(Vec::with_capacity(EXPECTED_BYTES / 8));
        Self { buffers: Buffers::with_max_depth(EXPECTED_BYTES, DEPTH_MAX), tape }
    }

    /// Parses `frame`, which is overwritten, and answers what `read` makes of it.
    pub(super) fn parse<T>(
        &mut self,
        frame: &mut [u8],
        read: impl FnOnce(Value<'_, '_>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(DecodeError::TooLarge);
        }
        // `reset` empties a tape and gives its memory another lifetime.
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let answer = match simd_json::fill_tape(frame, &mut self.buffers, &mut tape) {
            Ok(()) => read(Value(&tape.0)),
            Err(error) => Err(DecodeError::NotJson { offset: error.index() }),
        };
        self.tape = tape.reset();
        answer
    }
}

/// A value of the document: its nodes, the first of which says how many there are.
#[derive(Clone, Copy)]
pub(super) struct Value<'t, 'i>(&'t [Node<'i>]);

impl<'t, 'i> Value<'t, 'i> {
    /// How many nodes the first value of `nodes` has.
    fn count(nodes: &[Node<'_>]) -> usize {
        match nodes.first() {
            None => 0,
            Some(Node::Object { count, .. } | Node::Array { count, .. }) => count.saturating_add(1),
            Some(_) => 1,
        }
    }

    /// The fields of an object, in order; nothing of anything else.
    pub(super) fn fields(self) -> impl Iterator<Item = (&'i str, Value<'t, 'i>)> {
        let mut rest = match self.0.split_first() {
            Some((Node::Object { .. }, rest)) => rest,
            _ => &[],
        };
        std::iter::from_fn(move || {
            let (key, values) = rest.split_first()?;
            let Node::String(key) = key else { return None };
            let (value, next) = values.split_at_checked(Self::count(values))?;
            rest = next;
            Some((*key, Value(value)))
        })
    }

    /// The elements of an array, in order; nothing of anything else.
    pub(super) fn elements(self) -> impl Iterator<Item = Value<'t, 'i>> {
        let mut rest = match self.0.split_first() {
            Some((Node::Array { .. }, rest)) => rest,
            _ => &[],
        };
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (value, next) = rest.split_at_checked(Self::count(rest))?;
            rest = next;
            Some(Value(value))
        })
    }

    /// The first field of this name.
    pub(super) fn field(self, name: &str) -> Option<Value<'t, 'i>> {
        self.fields().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    pub(super) fn is_array(self) -> bool {
        matches!(self.0.first(), Some(Node::Array { .. }))
    }

    pub(super) fn is_object(self) -> bool {
        matches!(self.0.first(), Some(Node::Object { .. }))
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self.0.first(), Some(Node::Static(StaticNode::Null)))
    }

    pub(super) fn text(self) -> Option<&'i str> {
        match self.0.first() {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn unsigned(self) -> Option<u64> {
        match self.0.first() {
            Some(Node::Static(StaticNode::U64(number))) => Some(*number),
            Some(Node::Static(StaticNode::I64(number))) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn signed(self) -> Option<i64> {
        match self.0.first() {
            Some(Node::Static(StaticNode::U64(number))) => i64::try_from(*number).ok(),
            Some(Node::Static(StaticNode::I64(number))) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn boolean(self) -> Option<bool> {
        match self.0.first() {
            Some(Node::Static(StaticNode::Bool(truth))) => Some(*truth),
            _ => None,
        }
    }
}

/// Picks the named fields of an object into an array, refusing any that is there twice: two values of one field are two
/// readings of one frame. Fields not named are skipped, as the venue may add some at any time.
pub(super) fn pick<'t, 'i, const N: usize>(
    object: Value<'t, 'i>,
    names: &[&'static str; N],
) -> Result<[Option<Value<'t, 'i>>; N], DecodeError> {
    let mut picked = [None; N];
    for (key, value) in object.fields() {
        for (name, slot) in names.iter().zip(&mut picked) {
            // The first byte tells most names apart, without the call that comparing strings is.
            let is_alike = name.len() == key.len() && name.as_bytes().first() == key.as_bytes().first();
            if is_alike && *name == key && slot.replace(value).is_some() {
                return Err(DecodeError::Duplicate(name));
            }
        }
    }
    Ok(picked)
}

/// The fields of an event whose names are single letters, by letter: one look at each field, however many are wanted.
pub(super) struct Letters<'t, 'i>([Option<Value<'t, 'i>>; 64]);

impl<'t, 'i> Letters<'t, 'i> {
    /// Takes them in, refusing any that is there twice, as [`pick`] does. Fields with longer names are skipped.
    pub(super) fn of(event: Value<'t, 'i>) -> Result<Self, DecodeError> {
        let mut letters = [None; 64];
        for (key, value) in event.fields() {
            if let [letter] = key.as_bytes()
                && let Some(slot) = Self::place(*letter).and_then(|place| letters.get_mut(place))
                && slot.replace(value).is_some()
            {
                return Err(DecodeError::Duplicate(Self::name(*letter)));
            }
        }
        Ok(Self(letters))
    }

    /// The field of this letter.
    pub(super) fn get(&self, letter: u8) -> Option<Value<'t, 'i>> {
        self.0.get(Self::place(letter)?).copied().flatten()
    }

    fn name(letter: u8) -> &'static str {
        const NAMES: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ......abcdefghijklmnopqrstuvwxyz";
        let at = usize::from(letter.saturating_sub(b'A'));
        NAMES.get(at..=at).unwrap_or_default()
    }

    /// The low six bits tell all letters apart, in both cases.
    fn place(letter: u8) -> Option<usize> {
        letter.is_ascii_alphabetic().then_some(usize::from(letter & 63))
    }
}
