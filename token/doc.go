// Package token signs and verifies the tokens that open a durable iterator.
//
// A procedure answers with a token. The client opens a WebSocket with it. The token
// has the channel of the socket, its tags, the methods that it may call, and the time
// at which it is closed. All of that is a [Payload].
//
// # Forms
//
// The default form is oRPC's signed value, byte for byte: the payload as JSON
// text, a dot, and the HMAC-SHA256 of that text in base64url. A [Secret] signs
// and verifies it, and a [Keyring] does so while a secret is being replaced.
// Clients in TypeScript and in Go read it.
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
// Members are read as a client in TypeScript reads them: names are exact, the
// last of several members with one name counts, unknown members are allowed
// and stay in [Payload.Raw]. There is one more limit than in oRPC: times are in
// the years 1 to 9999. An expiry after the year 9999, even an infinite one, is
// read as the last second of that year; other times outside are refused.
//
// # One key for each purpose
//
// A token names a channel, and neither its issuer nor the namespace that the
// channel is in. Every verifier that has the key accepts it. Use one key for each
// namespace, or check names with durableobject's Options.Channels, so that a token
// for the channel "42" of one is worth nothing at another. Sign nothing else
// with that key.
//
// # Errors
//
// Every error of Verify and Parse wraps one of [ErrMalformed], [ErrSignature],
// [ErrExpired] and [ErrClaims]. Every error of Sign wraps [ErrNoSigningKey] or
// [ErrInvalidPayload], or comes from the key itself. They are for the
// application and its log. A client is sent no more than "Invalid Token".
//
// # Keys in logs
//
// Secret, Keyring and JWT print as "[redacted]": in package fmt, as text, as
// JSON and in package slog. A Secret is a string all the same, and package fmt
// prints it if it is in an unexported field of another struct, or with a verb
// that has no meaning for strings, such as %p. A Keyring or a JWT is not printed
// even then.
//
// # Concurrency
//
// Secret, Keyring and JWT do not change after they were made and are safe for
// concurrent use. A Payload is plain data: share it for reading.
package token
