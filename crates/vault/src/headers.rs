//! Two headers of the vault's own, for what an answer of S3 has no place for. A client that
//! does not know them loses nothing that S3 would tell it.

/// The words of a failure, in answers that can have no body (to HEAD).
pub const MESSAGE_HEADER: &str = "x-keepwatch-said";

/// The order of versions and delete markers in a listing of versions, one letter an
/// entry: the XML of the server library has them in two lists.
pub const ORDER_HEADER: &str = "x-keepwatch-order";

/// A version in [`ORDER_HEADER`].
const VERSION: char = 'v';

/// A delete marker there.
const MARKER: char = 'm';

/// The value of [`ORDER_HEADER`] for entries of which some are delete markers.
pub(super) fn order_of(markers: impl Iterator<Item = bool>) -> String {
    markers
        .map(|is_marker| if is_marker { MARKER } else { VERSION })
        .collect()
}

/// For each entry in the value of [`ORDER_HEADER`] whether it is a delete marker.
pub fn markers_in_order(value: &str) -> Vec<bool> {
    value.chars().map(|kind| kind == MARKER).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_listing_goes_through_its_header() {
        let markers = [false, true, true, false];
        let value = order_of(markers.into_iter());
        assert_eq!(value, "vmmv");
        assert_eq!(markers_in_order(&value), markers);
    }
}
