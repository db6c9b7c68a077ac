//! Do servers end with the process that started them, however it ends?
//! Must not know: which server it is.
