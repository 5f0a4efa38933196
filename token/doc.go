// Package token signs and verifies the tokens that open a durable iterator.
//
// A procedure returns a token, and the client opens a WebSocket with it. The token names
// the channel of the socket, its tags, the methods that the client may call, and the time
// at which the socket is closed. A [Payload] has all of that.
//
// # Forms
//
// The default form is oRPC's signed value, byte for byte: the payload as JSON,
// a dot, and the HMAC-SHA256 of that JSON in base64url. A [Secret] signs and
// verifies it, and a [Keyring] does so while a secret is being replaced.
// Clients in TypeScript and in Go can read it.
//
// The other form is a JSON Web Token, made by [NewJWT]. It is for Go clients
// only, because clients in TypeScript cannot read it. Use it where the server
// of the sockets must not be able to make tokens: the signer has the private key,
// and that server the public key.
//
// Neither form is encrypted. A client that has a token can read the channel,
// the tags and the attachment, and can use the token until it expires. Do not log
// tokens, and do not log the address of an upgrade request, which contains one.
//
// # Reading
//
// Servers call Verify, which checks the signature, the members and the expiry.
// Clients hold no key and call [Parse], which checks the members only. [Att]
// decodes the attachment into a Go type.
//
// Members are read as a client in TypeScript reads them: names are case-sensitive,
// the last of several members with the same name counts, and unknown members are
// allowed and kept in [Payload.Raw]. There is one more limit than in oRPC: times are
// in the years 1 to 9999. An expiry after the year 9999, even an infinite one, is
// read as the last second of that year; other times out of range are refused.
//
// # One key for each purpose
//
// A token names a channel, but neither its issuer nor the namespace that the
// channel is in. Every verifier with the key accepts it. Use a separate key for each
// namespace, or check the names of channels with durableobject's Options.Channels, so
// that a token for the channel "42" of one namespace is not valid in another. Sign
// nothing else with that key.
//
// # Errors
//
// Every error of Verify and Parse wraps one of [ErrMalformed], [ErrSignature],
// [ErrExpired] and [ErrClaims]. Every error of Sign wraps [ErrNoSigningKey] or
// [ErrInvalidPayload], or comes from the key itself. These errors are for the
// application and its log. A client is sent only "Invalid Token".
//
// # Keys in logs
//
// Secret, Keyring and JWT print as "[redacted]": in package fmt, as text, as
// JSON and in package slog. But a Secret is a string, and package fmt prints it
// if it is in an unexported field of another struct, or with a verb that does not
// apply to strings, such as %p. A Keyring or a JWT is never printed.
//
// # Concurrency
//
// Secret, Keyring and JWT are immutable and safe for concurrent use. A Payload is
// plain data: it may be read concurrently, but not while it is being changed.
package token
