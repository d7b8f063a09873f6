//! Free text that may repeat what was sent.

use std::borrow::Cow;

/// Gateways repeat what they were sent, so their texts are looked at before they are kept.
pub(crate) fn masked(text: Cow<'static, str>) -> Cow<'static, str> {
    match tollgate_redact::redact(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(masked) => Cow::Owned(masked),
    }
}

#[cfg(test)]
mod tests {
    use crate::{PaymentError, PaymentErrorKind, Rejection, RejectionKind};

    #[test]
    fn free_text_keeps_no_card_number() {
        let card = "4111 1111 1111 1111";
        let no = Rejection::new(RejectionKind::KeyInvalid).because(format!("card {card}"));
        let error = PaymentError::new(PaymentErrorKind::Declined, format!("card {card}"));
        for said in [
            no.to_string(),
            format!("{no:?}"),
            error.to_string(),
            format!("{error:?}"),
        ] {
            assert!(!said.contains("1111 1111"), "{said}");
        }
    }
}
