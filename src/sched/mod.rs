//! The scheduler: decides what is fetched, when, and over which lane. Pure: no clock, no I/O.

mod event;
