//! Whatever text a client sends, the grammars answer or refuse; what they print they read again.

use dockerapi::{Filters, spec, time};
use proptest::prelude::*;

proptest! {
    #[test]
    fn no_text_ends_the_daemon(text in any::<String>(), other in "[a-z0-9:/,=.\\-\\[\\]\"]{0,40}") {
        for text in [text.as_str(), other.as_str()] {
            let _ = Filters::parse(text);
            let _ = spec::split_port(text);
            let _ = time::parse_moment(text, i64::MAX);
            let _ = time::parse_duration(text);
            let _ = serde_json::from_str::<dockerapi::ContainerCreate>(text);
        }
    }

    #[test]
    fn times_and_durations_come_back(ns in -2_000_000_000_000_000_000_i64..9_000_000_000_000_000_000) {
        prop_assert_eq!(time::parse(&time::print(ns)), Ok(ns));
        prop_assert_eq!(time::parse(&time::print_fixed(ns)), Ok(ns));
    }

    #[test]
    fn short_durations_come_back(ns in -1_000_000_000_000_000_i64..1_000_000_000_000_000) {
        prop_assert_eq!(time::parse_duration(&time::print_duration(ns)), Ok(ns));
    }

    #[test]
    fn documents_come_back(name in ".*", value in ".*", number in any::<i64>()) {
        let mut create = dockerapi::ContainerCreate::default();
        create.config.image = name.clone();
        create.config.labels.insert(name, value.clone());
        create.host_config.resources.memory = number;
        create.host_config.binds.push(value);
        let text = serde_json::to_string(&create).expect("print");
        prop_assert_eq!(serde_json::from_str::<dockerapi::ContainerCreate>(&text).expect("read"), create);
    }
}
