package main

import (
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// describe returns a string that is equal for equal values, even if these are not equal in
// Go, such as two big integers or NaN.
func describe(given any) string {
	switch v := given.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(v)
	case float64:
		return "number " + strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return "date " + v.UTC().Format(time.RFC3339Nano)
	case *big.Int:
		return "bigint " + v.String()
	case *url.URL:
		return "url " + v.String()
	case value.RegExp:
		return "regexp " + v.String()
	case value.InvalidDate:
		return "invalid date"
	case value.Undefined:
		return "undefined"
	case value.Entry:
		return describe(v.Key) + " => " + describe(v.Value)
	case value.Set:
		return "set" + describeList(v)
	case value.Map:
		return "map" + describeList(v)
	case []any:
		return describeList(v)
	case map[string]any:
		members := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			members = append(members, strconv.Quote(name)+": "+describe(v[name]))
		}
		return "{" + strings.Join(members, ", ") + "}"
	}
	return describeTyped(reflect.ValueOf(given))
}

func describeList[E any](list []E) string {
	parts := make([]string, len(list))
	for i, element := range list {
		parts[i] = describe(element)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// describeTyped writes a value of a type of the contract.
func describeTyped(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "null"
		}
		return describe(v.Elem().Interface())
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = describe(v.Index(i).Interface())
		}
		return v.Type().String() + "[" + strings.Join(parts, ", ") + "]"
	case reflect.Struct:
		parts := make([]string, v.NumField())
		for i := range parts {
			parts[i] = v.Type().Field(i).Name + ": " + describe(v.Field(i).Interface())
		}
		return v.Type().String() + "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprintf("%T %#v", v.Interface(), v.Interface())
}
