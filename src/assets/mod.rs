//! The tree on disk: what is stored of which resource, who has it open, and what goes when room is short.

mod extents;
mod key;
mod log;
mod recovery;
