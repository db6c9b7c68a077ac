//! Which thing is meant: identifiers of doctors, patients, days, appointments and callers.
//! Must not know: how identifiers are made (randomness is the engine's), or what they name.

use uuid::Uuid;

use crate::time::Date;

/// Number of virtual shards. Fixed for ever: it is part of stored appointment ids.
pub const SHARD_COUNT: u16 = 1024;

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub Uuid);

        impl $name {
            /// The sixteen bytes, big-endian as in RFC 9562.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From sixteen bytes, big-endian as in RFC 9562.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

uuid_newtype!(
    /// The practitioner whose time is booked (FHIR Practitioner).
    DoctorId
);
uuid_newtype!(
    /// The person who is seen (FHIR Patient).
    PatientId
);
uuid_newtype!(
    /// Who calls: the `sub` of a token. A patient's subject is its patient id, a doctor's its doctor id.
    SubjectId
);
uuid_newtype!(
    /// One request of the outside world, stamped by the gateway; kept in every record for the audit.
    RequestId
);
uuid_newtype!(
    /// A patient's place in a slot; stays the same through hold, confirm, reschedule, cancel.
    AppointmentId
);

uuid_newtype!(
    /// One attempt to move an appointment to another day.
    MoveId
);

impl AppointmentId {
    /// `seed` with the birth shard of `day` in its ten lowest bits, which are random in every UUID version 4
    /// and 7. Any node can so find the doctor-day that knows this id (`protocols.md` rule 12).
    pub fn born_in(seed: Uuid, day: &DayKey) -> Self {
        let mask = u128::from(SHARD_COUNT - 1);
        Self(Uuid::from_u128((seed.as_u128() & !mask) | u128::from(day.shard())))
    }

    /// The shard of the doctor-day on which this appointment was born.
    pub const fn birth_shard(&self) -> u16 {
        (self.0.as_u128() & (SHARD_COUNT as u128 - 1)) as u16
    }
}

/// A doctor-day: all of a doctor's shifts that start on one local date. The unit of ownership: one actor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DayKey {
    /// Whose day.
    pub doctor: DoctorId,
    /// The local date, in the doctor's zone, on which the shifts start.
    pub date: Date,
}

impl DayKey {
    /// Twenty bytes that sort by doctor, then by date: the key of this day in every store.
    pub fn to_bytes(&self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(self.doctor.as_bytes());
        bytes[16..].copy_from_slice(&self.date.to_sortable_bytes());
        bytes
    }

    /// The inverse of [`DayKey::to_bytes`]; `None` if `bytes` is not twenty bytes of a valid date.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (doctor, date) = bytes.split_at_checked(16)?;
        Some(Self {
            doctor: DoctorId::from_bytes(doctor.try_into().ok()?),
            date: Date::from_sortable_bytes(date.try_into().ok()?)?,
        })
    }

    /// The virtual shard of this day, in `0..SHARD_COUNT`. FNV-1a over [`DayKey::to_bytes`] with a final mix
    /// (splitmix64), so that neighbouring dates spread. Never to be changed: ids and stores carry it.
    pub fn shard(&self) -> u16 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in self.to_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((hash ^ (hash >> 31)) % u64::from(SHARD_COUNT)) as u16
    }
}

impl std::fmt::Display for DayKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.doctor, self.date)
    }
}
