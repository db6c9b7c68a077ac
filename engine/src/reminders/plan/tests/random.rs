//! What holds of the rows of any change under any policy.
//! Must not know: examples.

use proptest::prelude::*;

use super::*;
use crate::reminders::policy::{QuietHours, WallTime};

const ZONES: [&str; 4] = [VIENNA, "Australia/Sydney", "America/New_York", "Asia/Kathmandu"];

fn policy() -> impl Strategy<Value = ReminderPolicy> {
    let channels = prop::option::of(prop::sample::subsequence(Channel::ALL.to_vec(), 1..4));
    let offset = (60_u32..=300_000, channels);
    let time = (0_u8..24, prop::sample::select(vec![0_u8, 30]));
    let quiet = (time.clone(), time).prop_filter("some hours", |(from, to)| from != to);
    (prop::collection::vec(offset, 0..5), prop::option::of(60_u32..20_000), prop::option::of(quiet)).prop_map(
        |(mut offsets, minimum_notice_seconds, quiet)| {
            offsets.sort_by_key(|(seconds, _)| *seconds);
            offsets.dedup_by_key(|(seconds, _)| *seconds);
            let offset = |(before_seconds, channels)| Offset { before_seconds, channels, template: None };
            let time = |(hour, minute)| WallTime::new(hour, minute).expect("a time");
            ReminderPolicy {
                offsets: offsets.into_iter().map(offset).collect(),
                minimum_notice_seconds,
                quiet_hours: quiet.map(|(from, to)| QuietHours { from: time(from), to: time(to) }),
                ..ReminderPolicy::default()
            }
        },
    )
}

fn preferences() -> impl Strategy<Value = Option<Preferences>> {
    let channels = prop::option::of(prop::sample::subsequence(Channel::ALL.to_vec(), 0..4).prop_shuffle());
    let known = (channels, any::<[bool; 3]>(), prop::option::of(prop::sample::select(ZONES.to_vec())));
    let known = known.prop_map(|(channels, [has_phone, has_email, has_telegram], zone)| Preferences {
        time_zone: zone.map(str::to_owned),
        channels,
        has_phone,
        has_email,
        has_telegram,
    });
    prop::option::of(known)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn rows_are_ahead_in_time_reachable_and_each_once(
        policy in policy(),
        patient in preferences(),
        configured in prop::sample::subsequence(Channel::ALL.to_vec(), 0..=5),
        at in 1_767_225_600_000_i64..1_798_761_600_000,
        minutes_left in 1_i64..10_000,
        zone in prop::sample::select(ZONES.to_vec()),
        by_patient in any::<bool>(),
        moved in any::<bool>(),
    ) {
        let at = UtcMillis(at);
        let row = appointment(at.plus_millis(minutes_left * 60_000), Status::Booked, 7);
        let from = moved.then_some(Status::Booked);
        let occasion = Occasion { by_patient, ..occasion(&row, from, at) };
        let settings = ReminderSettings { configured, ..ReminderSettings::default() };
        let mut known = Known { policy: Some(policy), patient, settings, zone };
        let rows = known.rows(&occasion);
        prop_assert!(rows.is_sorted_by(|one, next| one.key < next.key), "by key, each once");
        let quiet = known.policy.as_ref().and_then(|policy| policy.quiet_hours);
        let unknown = Preferences::default();
        let patient = known.patient.as_ref().unwrap_or(&unknown);
        for planned in &rows {
            prop_assert!(planned.due_at >= at && planned.due_at < row.start);
            prop_assert_eq!((planned.key.version, planned.next_at), (7, planned.due_at));
            let ways = std::iter::once(&planned.key.channel).chain(&planned.fallback);
            for way in ways {
                prop_assert!(known.settings.configured.contains(way) && patient.has_address(*way));
            }
            prop_assert!(!planned.fallback.contains(&planned.key.channel));
            let raw = row.start.plus_millis(-i64::from(planned.key.offset_seconds) * 1_000);
            if planned.key.kind == Kind::Reminder && planned.due_at != at && quiet.is_none() {
                prop_assert_eq!(planned.due_at, raw);
            }
            // Nobody is woken whom the morning, or the evening before, would do as well.
            let zone = patient.time_zone.as_deref().unwrap_or(zone);
            if let Some(night) = quiet.and_then(|hours| Quiet::new(hours, zone).night(planned.due_at))
                && planned.key.kind == Kind::Reminder
            {
                let notice = known.policy.as_ref().and_then(|policy| policy.minimum_notice_seconds);
                let notice = i64::from(notice.unwrap_or(NOTICE_SECONDS_DEFAULT)) * 1_000;
                prop_assert!(night.end > row.start.plus_millis(-notice));
                prop_assert!(night.evening.is_none_or(|evening| evening <= at));
            }
        }
        let wants_none = patient.channels.as_ref().is_some_and(Vec::is_empty);
        prop_assert!(!wants_none || rows.is_empty());
        let has_file = known.settings.configured.contains(&Channel::File);
        prop_assert!(wants_none || !has_file || rows.iter().any(|row| row.key.kind != Kind::Reminder), "a notice");
        // The order in which a policy names its offsets means nothing.
        if let Some(policy) = &mut known.policy {
            policy.offsets.reverse();
        }
        prop_assert_eq!(known.rows(&occasion), rows);
    }
}
