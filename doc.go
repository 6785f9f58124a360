// Package contrail holds nothing but the test that keeps the packages' directions. ARCHITECTURE.md says where things are.
package contrail
