//! What has changed in the table since it was saved.

use std::collections::VecDeque;
use std::rc::Rc;

use super::Key;
use crate::base::hashing::QuickSet;

/// Hosts to save, in the order of their first unsaved change, and keys to delete.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsaved {
    changed: VecDeque<Rc<Key>>,
    /// The same hosts, for lookup.
    known: QuickSet<Rc<Key>>,
    left: Vec<Rc<Key>>,
}

impl Unsaved {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }

    /// Number of hosts to save.
    pub(super) fn len(&self) -> usize {
        self.changed.len()
    }

    /// A host has changed.
    pub(super) fn note(&mut self, key: &Rc<Key>) {
        if self.known.insert(Rc::clone(key)) {
            self.changed.push_back(Rc::clone(key));
        }
    }

    /// A host has exchanged its key for a new one.
    pub(super) fn note_left(&mut self, key: Rc<Key>) {
        self.left.push(key);
    }

    /// Up to `count` hosts; they then count as saved.
    pub(super) fn take(&mut self, count: usize) -> Vec<Rc<Key>> {
        let count = count.min(self.changed.len());
        let keys: Vec<_> = self.changed.drain(..count).collect();
        for key in &keys {
            self.known.remove(key);
        }
        keys
    }

    pub(super) fn take_left(&mut self) -> Vec<Rc<Key>> {
        std::mem::take(&mut self.left)
    }
}
