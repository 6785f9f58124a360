import { MantineProvider, createTheme } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ApiError } from './api/client'
import './app/main.css'
import { resume } from './app/live'
import { router } from './app/router'

const theme = createTheme({ primaryColor: 'blue', defaultRadius: 5, fontFamily: 'var(--sans)', fontFamilyMonospace: 'var(--mono)', fontSizes: { sm: '13px', md: '14px' } })

const lasting = (e: unknown) => e instanceof ApiError && e.problem.status >= 400 && e.problem.status < 500

const client = new QueryClient({
  defaultOptions: { queries: { staleTime: 2000, refetchOnWindowFocus: false, retry: (n, e) => n < 1 && !lasting(e), retryDelay: 500 } },
})

resume()
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
)
