//! Databases and what they keep beside themselves: whatever moment is restored, what
//! comes back is one state of them.

// Links stand where the files of a database are.
#[cfg(unix)]
mod apart;
mod joined;
mod marks;
mod names;
// Starts Python, and the servers that it has.
#[cfg(unix)]
mod real;
