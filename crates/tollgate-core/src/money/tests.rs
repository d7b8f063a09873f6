use super::*;
use proptest::prelude::*;

fn currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(Currency::all().collect::<Vec<_>>())
}

proptest! {
    /// seed: amounts were floats in fraud rules and raised on NaN; here every amount survives every edge.
    #[test]
    fn every_amount_survives_print_and_parse(minor in any::<i64>(), currency in currency()) {
        let money = Money::from_minor(minor, currency);
        prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
        prop_assert_eq!(Money::from_decimal(money.to_decimal(), currency).unwrap(), money);
        let json = serde_json::to_string(&money).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
    }

    #[test]
    fn parts_sum_to_the_whole_and_differ_by_one_at_most(minor in any::<i64>(), parts in 1u32..200) {
        let split: Vec<i64> = Money::from_minor(minor, Currency::EUR).split(parts).map(Money::minor).collect();
        prop_assert_eq!(split.len(), parts as usize);
        prop_assert_eq!(split.iter().map(|m| i128::from(*m)).sum::<i128>(), i128::from(minor));
        prop_assert!(split.iter().max().unwrap() - split.iter().min().unwrap() <= 1);
    }

    #[test]
    fn a_gateway_gets_back_what_it_was_sent(minor in -1_000_000_000_000i64..1_000_000_000_000, currency in currency()) {
        for exponents in [Exponents::iso(), Exponents::adyen(), Exponents::stripe()] {
            let money = Money::from_minor(minor, currency);
            match money.to_gateway(&exponents) {
                Ok(units) => prop_assert_eq!(Money::from_gateway(units, currency, &exponents).unwrap(), money),
                Err(error) => prop_assert!(matches!(error, MoneyError::TooPrecise { .. }), "{error}"),
            }
        }
    }
}

#[test]
fn the_table_is_the_standards() {
    assert_eq!(Currency::all().count(), 165);
    assert!(Currency::all().map(Currency::code).is_sorted());
    let digits = |n| {
        Currency::all()
            .filter(|c| c.minor_units() == n)
            .map(Currency::code)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        digits(0),
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
    );
    assert_eq!(digits(3), "BHD IQD JOD KWD LYD OMR TND");
    assert_eq!(digits(4), "CLF UYW");
    assert_eq!(Currency::all().filter(|c| c.minor_units() == 2).count(), 139);
}

#[test]
fn refusals_say_why() {
    let say = |text: &str| text.parse::<Money>().unwrap_err().to_string();
    assert_eq!(
        say("1.999 EUR"),
        "1.999 has more than 2 digits behind the point, which is all that EUR has: round it first"
    );
    assert_eq!(
        say("1.00 eur"),
        "\"eur\" is not a currency code of ISO 4217 (three upper-case letters, as \"EUR\")"
    );
    assert_eq!(
        say("1 XAU"),
        "XAU has no minor unit in ISO 4217, so it cannot be charged"
    );
    assert_eq!(
        say("1e3 EUR"),
        "not an amount of money: write it as \"19.99 EUR\""
    );
    assert_eq!(say("92233720368547758.08 EUR"), "the amount in EUR is too large");
    assert_eq!("1.90 EUR".parse::<Money>().unwrap(), "1.9 EUR".parse().unwrap()); // seed I15c: 1.0 and 1.00 differed
}
