import hooks from 'eslint-plugin-react-hooks'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist', 'src/api/schema.ts', 'shots'] },
  ...tseslint.configs.recommended,
  hooks.configs.flat.recommended,
  {
    files: ['src/**/*.{ts,tsx}'],
    rules: {
      'max-lines': ['error', 400],
      'no-restricted-syntax': [
        'error',
        { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: 'user data is text' },
        { selector: "CallExpression[callee.name='fetch']", message: 'src/api/client.ts is the only fetch' },
      ],
      'react-hooks/incompatible-library': 'off',
    },
  },
  { files: ['src/api/client.ts'], rules: { 'no-restricted-syntax': 'off' } },
)
