package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// splitKey returns the keys that a method signs and verifies with. private is nil if key is
// a public key. The error does not contain the key.
func splitKey(method jwt.SigningMethod, key any) (private, public any, err error) {
	switch method := method.(type) {
	case *jwt.SigningMethodHMAC:
		return splitHMAC(key)
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS:
		return splitRSA(key)
	case *jwt.SigningMethodECDSA:
		return splitECDSA(key, method.CurveBits)
	case *jwt.SigningMethodEd25519:
		return splitEd25519(key)
	}
	return nil, nil, errors.New("not supported")
}

func splitHMAC(key any) (private, public any, err error) {
	var secret []byte
	switch key := key.(type) {
	case []byte:
		secret = bytes.Clone(key)
	case Secret:
		secret = []byte(key)
	default:
		return nil, nil, wrongType(key)
	}
	if len(secret) == 0 {
		return nil, nil, errors.New("the key is empty")
	}
	return secret, secret, nil
}

func splitRSA(key any) (private, public any, err error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key != nil && key.N != nil {
			return key, &key.PublicKey, nil
		}
	case *rsa.PublicKey:
		if key != nil && key.N != nil {
			return nil, key, nil
		}
	}
	return nil, nil, wrongType(key)
}

func splitECDSA(key any, bits int) (private, public any, err error) {
	var point *ecdsa.PublicKey
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if key != nil {
			private, point = key, &key.PublicKey
		}
	case *ecdsa.PublicKey:
		point = key
	}
	if point == nil || point.Curve == nil {
		return nil, nil, wrongType(key)
	}
	if got := point.Curve.Params().BitSize; got != bits {
		return nil, nil, fmt.Errorf("the curve of the key has %d bits, not %d", got, bits)
	}
	return private, point, nil
}

func splitEd25519(key any) (private, public any, err error) {
	switch key := key.(type) {
	case ed25519.PrivateKey:
		if len(key) == ed25519.PrivateKeySize {
			return key, key.Public(), nil
		}
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return nil, key, nil
		}
	}
	return nil, nil, wrongType(key)
}

func wrongType(key any) error { return fmt.Errorf("%T is the wrong type of key or incomplete", key) }
