//! The disk of the index is full: it is said, nothing is lost, and it goes on
//! by itself once there is room.
