//! Databases and what they keep beside themselves: whatever moment is restored, what
//! comes back is one state of them.

mod apart;
mod joined;
mod marks;
mod names;
mod real;
