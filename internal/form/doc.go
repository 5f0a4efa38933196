// Package form writes and reads the multipart text of values that hold files.
//
// Such a form has a text part data, the envelope that package serializer makes, and one
// file part for each file, named 0, 1 and so on in the order in which the envelope places
// them. The text is that of a JavaScript FormData: in names quotes and line breaks are
// written %22, %0D and %0A, and nothing else is escaped.
//
// [Write] copies the content of each file as it goes and holds none of it. [Read] takes the
// parts in any order, ignores others, and is bounded in all that it keeps: see [Options].
// Content beyond its share of memory goes to temporary files, which [Form.Close] removes.
//
// # Errors
//
// Text that is no such form is [ErrMalformed], one that is larger than the options allow
// [ErrTooLarge]; errors.Is finds them. Any other error of Read comes from the reader or
// from a temporary file.
package form
