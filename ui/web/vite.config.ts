import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// `npm run dev` talks to a running contrail, or to mock/server.mjs when nothing else is named.
const backend = process.env.CONTRAIL ?? 'http://127.0.0.1:8090'

export default defineConfig({
  plugins: [react()],
  server: { proxy: { '/api': backend } },
  build: { target: 'es2022', assetsInlineLimit: 0, chunkSizeWarningLimit: 1200, reportCompressedSize: true },
})
