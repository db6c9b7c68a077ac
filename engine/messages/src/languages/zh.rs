//! Chinese, in simplified characters.
//! Must not know: which message is rendered.

use super::{Calendar, Labels, Language, Saying, Words, colon, weekday};

const WEEKDAYS: [&str; 7] = ["星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"];
const DAYS: [&str; 7] = ["周一", "周二", "周三", "周四", "周五", "周六", "周日"];

pub(super) static ZH: Language = Language {
    tag: "zh",
    calendar: Calendar {
        date: |date| {
            let weekday = weekday(&WEEKDAYS, date.weekday());
            format!("{}年{}月{}日{weekday}", date.year(), date.month(), date.day())
        },
        day: |date| format!("{}月{}日（{}）", date.month(), date.day(), weekday(&DAYS, date.weekday())),
        time: colon,
    },
    patient: Words {
        reminder: Saying { title: "就诊提醒", lead: "温馨提醒：您有一个预约即将到来。" },
        confirmation: Saying { title: "预约成功", lead: "您已预约成功。" },
        change: Saying { title: "预约已改期", lead: "您的预约已改期，新的就诊信息如下：" },
        cancellation: Saying { title: "预约已取消", lead: "您的预约已取消，原就诊信息如下：" },
    },
    doctor: Words {
        reminder: Saying { title: "接诊提醒", lead: "您有一位预约患者即将就诊。" },
        confirmation: Saying { title: "新预约", lead: "有患者预约了您的门诊。" },
        change: Saying { title: "预约已改期", lead: "您的一个门诊预约已改期，新的信息如下：" },
        cancellation: Saying {
            title: "预约已取消", lead: "您的一个门诊预约已取消，原信息如下："
        },
    },
    greeting: "{% if name %}{{ name }}，{% endif %}您好！",
    labels: Labels {
        when: "时间：", doctor: "医生：", patient: "患者：", place: "地点：", reason: "原因："
    },
    when: "{{ date }} {{ time }}（{{ zone }}）",
    subject: "{{ title }}：{{ day }}{{ time }}{% if name %}，{{ name }}{% endif %}",
    short: "{{ title }}：{{ day }}{{ time }}（{{ zone }}）\
        {% if name %}，{{ name }}{% endif %}{% if place_line %}，{{ place_line }}{% endif %}",
    summary: "门诊预约{% if name %}：{{ name }}{% endif %}",
    closing: "如您无法前来，请提前取消预约，以便把名额留给其他患者。",
};
