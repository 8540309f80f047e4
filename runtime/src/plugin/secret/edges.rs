//! A first look at a text, which is all that most of them get.

use zeroize::Zeroize as _;

use super::form::{EDGE, Form, LINE};

/// Beginnings and ends of forms, to be found in much text fast: of the bytes at each place a few bits choose one of a set
/// that says whether any of them has those bits, and only then the text around is held against the forms.
pub(super) struct Edges {
    marked: Box<[u64]>,
    /// The same of the words at every place of the forms.
    inner: Box<[u64]>,
    /// Sorted by their bytes.
    edges: Vec<Edge>,
}

/// The first or the last bytes of a form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    word: u32,
    /// The place of the form.
    form: usize,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    First,
    Last,
}

/// Bits that choose; the set of all that they can choose fits into the nearest cache of a processor.
const CHOICE: u32 = 16;

impl Edges {
    pub(super) fn of(forms: &[Form]) -> Self {
        let mut edges = Vec::with_capacity(forms.len() * 2);
        let mut marked = vec![0; 1 << (CHOICE - 6)].into_boxed_slice();
        let mut inner = marked.clone();
        let mark = |set: &mut [u64], word| {
            let (at, bit) = Self::choose(word);
            if let Some(bits) = set.get_mut(at) {
                *bits |= bit;
            }
        };
        for (place, form) in forms.iter().enumerate() {
            let ends = [
                (End::First, form.bytes.first_chunk()),
                (End::Last, form.bytes.last_chunk()),
            ];
            for (end, bytes) in ends {
                let Some(bytes) = bytes else { continue };
                let word = u32::from_le_bytes(*bytes);
                mark(&mut marked, word);
                edges.push(Edge {
                    word,
                    form: place,
                    end,
                });
            }
            for window in form.bytes.array_windows::<EDGE>() {
                mark(&mut inner, u32::from_le_bytes(*window));
            }
        }
        edges.sort_unstable();
        Self {
            marked,
            inner,
            edges,
        }
    }

    /// Whether a text that is long enough is a part of a form.
    pub(super) fn is_within(&self, text: &[u8], forms: &[Form]) -> bool {
        let Some((start, _)) = text.split_at_checked(LINE) else {
            return false;
        };
        let mut words = start.as_chunks::<EDGE>().0.iter();
        let could_be = words.all(|word| {
            let (at, bit) = Self::choose(u32::from_le_bytes(*word));
            self.inner.get(at).is_some_and(|bits| bits & bit != 0)
        });
        let holds = |form: &Form| form.bytes.windows(text.len()).any(|part| part == text);
        could_be && forms.iter().any(holds)
    }

    /// A multiplication mixes all bits of a word into the upper ones.
    fn choose(word: u32) -> (usize, u64) {
        let chosen = word.wrapping_mul(0x9E37_79B1) >> (32 - CHOICE);
        ((chosen >> 6) as usize, 1 << (chosen & 63))
    }

    /// Whether a text has a form in it, or begins or ends with a part of one.
    pub(super) fn occur_in(&self, text: &[u8], forms: &[Form]) -> bool {
        let windows = text.array_windows::<EDGE>().enumerate();
        let mut words = windows.map(|(place, window)| (place, u32::from_le_bytes(*window)));
        words.any(|(place, word)| {
            let (at, bit) = Self::choose(word);
            let marked = self.marked.get(at).is_some_and(|bits| bits & bit != 0);
            marked && self.is_form(text, place, word, forms)
        })
    }

    /// Whether the bytes at a place are the edge of what has to be hidden, and do not only look like it.
    fn is_form(&self, text: &[u8], place: usize, word: u32, forms: &[Form]) -> bool {
        let first = self.edges.partition_point(|edge| edge.word < word);
        let edges = self.edges.iter().skip(first);
        let mut edges = edges.take_while(|edge| edge.word == word);
        edges.any(|edge| {
            let Some(Form { bytes: form, .. }) = forms.get(edge.form) else {
                return false;
            };
            match edge.end {
                End::First => {
                    let rest = text.get(place..).unwrap_or_default();
                    rest.starts_with(form) || form.starts_with(rest)
                }
                End::Last => {
                    let before = text.get(..place + EDGE).unwrap_or_default();
                    form.ends_with(before)
                }
            }
        })
    }
}

impl Drop for Edges {
    fn drop(&mut self) {
        self.edges.iter_mut().for_each(|edge| edge.word.zeroize());
        self.marked.zeroize();
        self.inner.zeroize();
    }
}
